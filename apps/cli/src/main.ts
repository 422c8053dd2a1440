import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { CommanderError } from 'commander';
import { readEnvironment } from './config.js';
import type { CommandContext } from './context.js';
import { CliError, Exit, SIGNAL_BASE, type ExitCode } from './exit-codes.js';
import { createProgram } from './program.js';
import { createOutput } from './terminal/output.js';

const STOPPING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A command that was asked to stop and does not is ended after this long, milliseconds. */
const STOP_DEADLINE_MS = 3_000;

async function main(argv: readonly string[]): Promise<void> {
  quietPipes();
  const environment = readEnvironment();
  const output = createOutput(process.stdout, process.stderr, environment.plain);
  const stop = new AbortController();
  let patient = false;
  for (const signal of STOPPING) {
    process.on(signal, () => {
      stop.abort(signal);
      if (!patient) setTimeout(() => process.exit(statusOf(signal)), STOP_DEADLINE_MS).unref();
    });
  }
  process.on('uncaughtException', (error) => {
    // Said last, after whoever holds the terminal has given it back.
    process.once('exit', () => report(error, output.note, stop.signal));
    process.exit(Exit.Internal);
  });
  let status: number | undefined;
  const context: CommandContext = {
    output,
    environment,
    signal: stop.signal,
    finish: (code) => (status = code),
    takeTimeToStop: () => (patient = true),
  };
  try {
    await createProgram(context, packageVersion()).parseAsync([...argv], { from: 'user' });
  } catch (error) {
    status = report(error, output.note, stop.signal);
  }
  status ??= stop.signal.aborted ? statusOf(stop.signal.reason as NodeJS.Signals) : Exit.Ok;
  process.exitCode = status;
  // A socket on its way to close must not hold the prompt back; what was written must be out.
  process.stdout.write('', () => process.exit());
}

/** Says what went wrong in one line, and gives the exit status for it. */
function report(error: unknown, note: (message: string) => void, signal: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.Ok : Exit.Usage;
  if (signal.aborted) return statusOf(signal.reason as NodeJS.Signals);
  if (error instanceof CliError) {
    note(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return error.exit satisfies ExitCode;
  }
  note(`this is a defect of Tidemark: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return Exit.Internal;
}

function statusOf(signal: NodeJS.Signals): number {
  return SIGNAL_BASE + constants.signals[signal];
}

/** `tidemark ps | head`: the reader has enough, and that is no error. */
function quietPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(process.exitCode ?? Exit.Ok);
      throw error;
    });
  }
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}

await main(process.argv.slice(2));
