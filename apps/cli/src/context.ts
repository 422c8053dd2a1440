import { Command } from 'commander';
import { createApiClient, type ApiClient } from './api/client.js';
import type { CliEnvironment } from './config.js';
import { resolveAddress, type CommonOptions } from './options.js';
import type { Output } from './terminal/output.js';

/** What a command works with: everything of the outside world that it may touch. */
export interface CommandContext {
  readonly output: Output;
  readonly environment: CliEnvironment;
  /** Aborts when the command was asked to stop; the reason is the signal's name. */
  readonly signal: AbortSignal;
  /** Takes the exit status of the command that ran. */
  finish(exit: number): void;
  /** Called by a command that may need longer than a moment to stop when asked to. */
  takeTimeToStop(): void;
}

/** The client for the API that the options or the environment name. */
export function apiClient(context: CommandContext, options: CommonOptions, deadlineMs?: number): ApiClient {
  return createApiClient(resolveAddress(options, context.environment), deadlineMs);
}

/** `--json`, and where the API is: on every command, and before its name. */
export function addCommonOptions(command: Command, asksApi: boolean): Command {
  command.option('--json', 'write JSON instead of text');
  if (asksApi) {
    command.option('--url <url>', 'address of the GraphQL API (TIDEMARK_URL; default http://127.0.0.1:4000/graphql)');
    command.option('--token <token>', 'its token (better in TIDEMARK_TOKEN: the process list shows options)');
  }
  return command;
}

/** The options of a command together with those given before its name; the command's own win. */
export function optionsOf<Options>(command: Command): Options & CommonOptions {
  return { ...command.parent?.opts(), ...command.opts() } as Options & CommonOptions;
}
