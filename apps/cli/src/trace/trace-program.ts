import { startTraced, type ProgramExit, type TracedProgram, type TraceSource } from '@tidemark/alloc-trace';
import type { TraceOptions } from '../commands/trace.js';
import type { CommandContext } from '../context.js';
import { programName } from './program-name.js';
import type { Traced } from './run-trace.js';
import { baseName } from './trace-report.js';
import { watchTrace, type TraceWatch } from './watch-trace.js';

const KEY_SIGNALS = new Set<NodeJS.Signals>(['SIGINT']);

/** Runs the program with the library in it, to its end. */
export async function traceProgram(
  context: CommandContext,
  words: readonly string[],
  options: TraceOptions,
): Promise<Traced> {
  const children: Promise<{ watch: TraceWatch; program: string }>[] = [];
  const over = new AbortController();
  const traced = await startTraced(words, {
    mode: options.mode === 'sampled' ? 'SAMPLED' : 'EXACT',
    sampleInterval: options.interval,
    maxFrames: options.stacks === 'caller' ? 1 : 64,
    survivorsPerSite: options.atRisk,
    maxSurvivors: options.atRisk,
    environment: context.environment.whole,
    follow: options.children ?? false,
    onChild: (source) => children.push(watchChild(source, over.signal)),
  });
  const forwarding = forwardSignals(context, traced);
  try {
    const watch = await watchTrace(traced.source, { ended: traced.exited });
    const end = await traced.exited;
    over.abort();
    const own = { watch, program: baseName(words[0] ?? ''), command: commandLine(words), end: endOf(end) };
    const ofChildren = (await Promise.all(children)).map((child) => ({ ...child, command: child.program, end: null }));
    return { watches: [own, ...ofChildren], close: () => traced.close() };
  } catch (error) {
    await traced.close();
    throw error;
  } finally {
    forwarding.stop();
  }
}

async function watchChild(source: TraceSource, stop: AbortSignal): Promise<{ watch: TraceWatch; program: string }> {
  const program = programName(source.pid) ?? `pid ${source.pid}`;
  return { watch: await watchTrace(source, { stop }), program };
}

function endOf({ code, signal }: ProgramExit): { code: number | null; signal: string | null } {
  return { code, signal };
}

/** What ends this command ends the program, whose report is then written. */
function forwardSignals({ signal }: CommandContext, { pid }: TracedProgram): { stop(): void } {
  const forward = (): void => {
    const asked = signal.reason as NodeJS.Signals;
    // A terminal sends Ctrl-C to the whole process group: the program has had it already.
    if (KEY_SIGNALS.has(asked) && isInteractive()) return;
    try {
      process.kill(pid, asked);
    } catch {
      // It is gone already.
    }
  };
  signal.addEventListener('abort', forward, { once: true });
  return { stop: () => signal.removeEventListener('abort', forward) };
}

function isInteractive(): boolean {
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}

/** As a person would type it, near enough. */
function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(' ');
}
