import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { CliError, Exit, SIGNAL_BASE } from '../exit-codes.js';
import type { CommonOptions } from '../options.js';

/** Beside this app in the repository. */
const STANDALONE = fileURLToPath(new URL('../../../standalone/dist/main.js', import.meta.url));

export function upCommand(context: CommandContext, standalone: string = STANDALONE): Command {
  return new Command('up')
    .description('run the whole system on this host: collector, detector, history, API (try: tidemark up --help)')
    .argument('[options...]', 'options of the standalone, passed on')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[], _: unknown, self: Command) => {
      const { json } = self.parent?.opts<CommonOptions>() ?? {};
      await runUp(context, standalone, standaloneArguments(args, json ?? false));
    });
}

/** `--json` is the CLI's word for machine-readable; the standalone calls it a format of its log. */
export function standaloneArguments(args: readonly string[], json: boolean): string[] {
  const rest = args.filter((argument) => argument !== '--json');
  return json || rest.length < args.length ? [...rest, '--set', 'log.format=json'] : rest;
}

async function runUp(context: CommandContext, standalone: string, args: readonly string[]): Promise<void> {
  if (!existsSync(standalone)) {
    throw new CliError(Exit.NotFound, 'the standalone is not built', 'run "npm run setup" in the repository first');
  }
  context.takeTimeToStop();
  const child = spawn(process.execPath, [standalone, ...args], { stdio: 'inherit' });
  const forward = (): void => {
    const asked = context.signal.reason as NodeJS.Signals;
    // A terminal that goes away is a reason to stop in good order, which only SIGTERM and SIGINT mean to the child.
    const signal = asked === 'SIGHUP' ? 'SIGTERM' : asked;
    // A terminal sends Ctrl-C to the whole process group: a second SIGINT would read as "now, at once".
    if (signal !== 'SIGINT' || !isInteractive()) child.kill(signal);
  };
  context.signal.addEventListener('abort', forward, { once: true });
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (...status) => resolve(status));
    });
    context.finish(signal === null ? (code ?? Exit.Internal) : SIGNAL_BASE + constants.signals[signal]);
  } finally {
    context.signal.removeEventListener('abort', forward);
  }
}

function isInteractive(): boolean {
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}
