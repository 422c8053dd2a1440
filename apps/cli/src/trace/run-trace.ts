import { constants } from 'node:os';
import { createSymbolizer, type Symbolizer, TraceError } from '@tidemark/alloc-trace';
import type { TraceOptions } from '../commands/trace.js';
import type { CommandContext } from '../context.js';
import { CliError, Exit, SIGNAL_BASE } from '../exit-codes.js';
import { buildReport } from './build-report.js';
import { traceProcess } from './trace-process.js';
import { traceProgram } from './trace-program.js';
import type { TraceReport } from './trace-report.js';
import type { TraceWatch } from './watch-trace.js';
import { openOutputs } from './write-report.js';

/** What was traced: the process itself first, then its children. */
export interface Traced {
  watches: { watch: TraceWatch; program: string; command: string; end: TraceReport['end'] }[];
  /** Gives the process back as it was, once its stacks were read. */
  close(): Promise<void>;
}

/** Traces the program of `words`, or the process of `--pid`, and writes what was found. */
export async function runTrace(
  context: CommandContext,
  words: readonly string[],
  options: TraceOptions,
): Promise<void> {
  context.takeTimeToStop();
  // Before anything runs: a file that cannot be written must not cost a run.
  const outputs = openOutputs(context.output, options, words.length > 0);
  const traced = await refusalsInOneLine(() =>
    words.length > 0 ? traceProgram(context, words, options) : traceProcess(context, options),
  );
  const symbolizer = createSymbolizer();
  try {
    const [own, ...children] = await reportsOf(traced, symbolizer);
    if (own) await outputs.write(own, children);
    context.finish(words.length > 0 ? statusOf(own?.end ?? null) : Exit.Ok);
  } finally {
    await symbolizer.close();
    await traced.close();
  }
}

async function reportsOf({ watches }: Traced, symbolizer: Symbolizer): Promise<TraceReport[]> {
  const reports: TraceReport[] = [];
  for (const { watch, program, command, end } of watches) {
    reports.push(await buildReport(watch, { pid: watch.source.pid, program, command, end }, symbolizer));
  }
  return reports;
}

/** The exit status of the program is the command's. */
function statusOf(end: TraceReport['end']): number {
  if (end === null) return Exit.Ok;
  if (end.signal === null) return end.code ?? Exit.Internal;
  return SIGNAL_BASE + (constants.signals[end.signal as NodeJS.Signals] ?? 0);
}

async function refusalsInOneLine<Result>(attempt: () => Promise<Result>): Promise<Result> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    const exit =
      error.code === 'TRACE_INVALID'
        ? Exit.Usage
        : error.code === 'TRACE_GONE'
          ? Exit.NotFound
          : error.code === 'TRACE_NOT_FOUND'
            ? Exit.NoProgram
            : Exit.Untraceable;
    throw new CliError(exit, error.message, undefined, { cause: error });
  }
}
