import { openTrace, type TraceSource } from '@tidemark/alloc-trace';
import type { TraceOptions } from '../commands/trace.js';
import type { CommandContext } from '../context.js';
import { formatBytes, formatCount } from '../terminal/figures.js';
import { commandOf, programName } from './program-name.js';
import type { Traced } from './run-trace.js';
import { isLeaking } from './trace-report.js';
import { watchTrace, type TraceWatch } from './watch-trace.js';

/** Longest delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Attaches to the process of `--pid` until it ends, the time is over, or the person has seen enough. */
export async function traceProcess(context: CommandContext, options: TraceOptions): Promise<Traced> {
  const pid = options.pid ?? 0;
  const program = programName(pid) ?? `pid ${pid}`;
  const command = commandOf(pid) ?? program;
  const source = await openTrace({
    pid,
    mode: options.mode === 'exact' ? 'EXACT' : 'SAMPLED',
    sampleInterval: options.interval,
    maxFrames: options.stacks === 'caller' ? 1 : 64,
    survivorsPerSite: options.atRisk,
    maxSurvivors: options.atRisk,
  });
  const stop = stopSignal(context, options.duration);
  const progress = createProgress(context, source, program);
  try {
    const watch = await watchTrace(source, { stop, onLook: progress.show });
    progress.clear();
    const end = watch.observation.ended ? { code: null, signal: null } : null;
    // Its figures are read: from here on the process goes on as if it had never been traced.
    await source.stop();
    return { watches: [{ watch, program, command, end }], close: () => source.stop() };
  } catch (error) {
    progress.clear();
    await source.stop();
    throw error;
  }
}

/** Aborts when the command is asked to stop, or the time is over. (AbortSignal.any forgets its timer in Node 20.) */
function stopSignal({ signal }: CommandContext, seconds: number | undefined): AbortSignal {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  if (seconds !== undefined) setTimeout(abort, Math.min(seconds * 1000, MAX_TIMER_MS)).unref();
  return stop.signal;
}

/** One line on a terminal that is written over at each look; nothing elsewhere but one remark. */
function createProgress(
  { output }: CommandContext,
  source: TraceSource,
  program: string,
): { show(watch: TraceWatch): void; clear(): void } {
  const how = source.means === 'UPROBES' ? 'kernel probes, in windows' : 'the library in it';
  output.note(`tracing ${program} (pid ${source.pid}) by ${how}; Ctrl-C ends it and reports`);
  return {
    show({ observation, ledger, startedAt }) {
      const leaking = observation.sites.filter(({ site }) => isLeaking({ verdict: ledger.verdict(site) })).length;
      output.progress(
        `${((observation.at - startedAt) / 1000).toFixed(0)} s: ${formatBytes(observation.totals.liveBytes)} live of ` +
          `${formatCount(observation.totals.allocations)} allocations at ${observation.sites.length} sites, ${leaking} leak`,
      );
    },
    clear: () => output.progress(null),
  };
}
