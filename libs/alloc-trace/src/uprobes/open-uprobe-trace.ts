import { TraceError } from '../errors.js';
import type { TraceRequest, TraceSource } from '../trace-source.js';
import { findAllocator } from './allocator.js';
import { blockLedger } from './block-ledger.js';
import { pairCalls, type CallPairing } from './call-pairing.js';
import { sweepStaleProbes } from './leftovers.js';
import { closeObjects, readAddressSpace, type AddressSpace } from './mapped-objects.js';
import { openProbeSession, type ProbeSession } from './probe-session.js';
import { MAX_STACK_WORDS } from './probe-group.js';
import { siteBook } from './site-book.js';
import { targetProcess, type TargetProcess } from './target-process.js';
import { threadOwners, type ThreadOwners } from './thread-owners.js';
import { openTracefs, type Tracefs } from './tracefs.js';
import { requireSampled } from './require-sampled.js';
import { runTrace } from './run-trace.js';
import { traceNow } from './trace-clock.js';
import { windowControl } from './window-control.js';
import { costsAt, MEASURED_COSTS, type ProbeCosts } from './window-plan.js';

export interface UprobeOptions {
  /** Share of one CPU that the probes may cost the process in the long run, 0.001 to 1. Default 0.05. */
  cpuShare?: number;
  /** The same of all processes that run into the probes, 0.001 to 64. Default 0.25. */
  hostShare?: number;
  /** Words of the stack copied at each allocation, 0 to 256: how far it can be walked. Default 128 (1 KiB). */
  stackWords?: number;
  /** The kernel's buffers of all CPUs together, KiB, 256 to 1,048,576. Default 32 MiB. */
  bufferKiB?: number;
  /** Milliseconds between two looks, 5 to 1,000. Default 40. */
  pollMs?: number;
  /** Blocks known alive at most; about 200 bytes each. Default 200,000. */
  maxBlocks?: number;
  /** Distinct stacks at most. Default 16,384. */
  maxSites?: number;
  /** What a hit costs, microseconds. Default: as measured on a virtual machine. */
  costs?: ProbeCosts;
}

export interface UprobeDeps {
  options?: UprobeOptions;
  /** Told what was done beside tracing, one line each: tracefs mounted, leftovers of a dead collector removed. */
  note?(line: string): void;
  random?(): number;
}

const SHORTEST_WINDOW = 0.1;
const FOLLOW_SHARE = 0.25;

/**
 * Traces a process that runs without the library by probes on its allocator's entry points, in sampled windows.
 * Throws TraceError: TRACE_EXACT_NEEDS_LIBRARY, TRACE_INVALID, TRACE_GONE, TRACE_DENIED, TRACE_REFUSED with the reason;
 * nothing is left behind then.
 */
export async function openUprobeTrace(request: TraceRequest, deps: UprobeDeps = {}): Promise<TraceSource> {
  const options = checked(request, deps.options ?? {});
  const tracefs = await openTracefs();
  if (tracefs.mounted) deps.note?.(`tracefs was mounted at ${tracefs.root}`);
  for (const name of await sweepStaleProbes(tracefs.root))
    deps.note?.(`removed ${name}, left by a collector that is gone`);
  const target = await targetProcess(request.pid);
  const space = await readAddressSpace(request.pid);
  try {
    const places = await findAllocator(space, request.pid);
    const session = await openProbeSession({ root: tracefs.root, pid: request.pid, places, ...options });
    return begin(request, deps, { options, target, space, session, places, tracefs });
  } finally {
    await closeObjects(space);
  }
}

interface Parts {
  options: Required<UprobeOptions>;
  target: TargetProcess;
  space: AddressSpace;
  session: ProbeSession;
  places: Awaited<ReturnType<typeof findAllocator>>;
  tracefs: Tracefs;
}

function begin(request: TraceRequest, deps: UprobeDeps, parts: Parts): TraceSource {
  const { options, session, space, target } = parts;
  const { maxFrames = 64, survivorsPerSite = 32, maxSurvivors = 10_000 } = request;
  const ledger = blockLedger(traceNow(), options.maxBlocks);
  const sites = siteBook(space, { maxFrames, maxSites: options.maxSites });
  const owners = threadOwners(target.pid, space.mappings);
  const pairing = pairCalls(
    parts.places,
    session.formats,
    {
      allocated: (time, address, size, thread) => ledger.allocated(time, address, size, sites.siteOf(thread, time)),
      released: ledger.released,
      unknown: ledger.unknown,
    },
    (time) => control.allocating(time),
  );
  const drain = (): void => drainInto(session, owners, pairing);
  const control = windowControl({
    session,
    ledger,
    limits: {
      share: options.cpuShare,
      hostShare: options.hostShare,
      shortest: SHORTEST_WINDOW,
      followShare: Math.max(FOLLOW_SHARE, options.cpuShare),
    },
    costs: costsAt(parts.places, options.costs),
    stackWords: options.stackWords,
    now: traceNow,
    random: deps.random ?? Math.random,
    drain,
    forget: pairing.forget,
  });
  return runTrace({
    target,
    session,
    ledger,
    sites,
    control,
    drain,
    pollMs: options.pollMs,
    maxBlocks: options.maxBlocks,
    survivorsPerSite,
    maxSurvivors,
    remap: async () => {
      const next = await readAddressSpace(target.pid, sites.space);
      await closeObjects(next);
      sites.remap(next);
      owners.remap(next.mappings);
    },
  });
}

/** How often the buffers are read in a row at most. */
const ROUNDS = 16;
/** An event's time is taken a little before it can be read: nanoseconds. */
const UNSETTLED = 2e6;

/** Takes what the buffers hold up to now. */
function drainInto({ pipes, formats }: ProbeSession, owners: ThreadOwners, pairing: CallPairing): void {
  const horizon = traceNow() - UNSETTLED;
  for (let round = 0; round < ROUNDS; round++) {
    const { events, more } = pipes.drain(horizon);
    for (const event of events) {
      const at = event.at + (event.event === 'leave' ? formats.registers : formats.stack);
      const stack = event.page.readUInt32LE(at + 4) * 4_294_967_296 + event.page.readUInt32LE(at);
      if (owners.owns(event.thread, stack)) pairing.take(event);
    }
    if (!more) return;
  }
}

function checked(request: TraceRequest, options: UprobeOptions): Required<UprobeOptions> {
  requireSampled(request.mode);
  if (process.arch !== 'x64') {
    throw new TraceError(
      'TRACE_REFUSED',
      `uprobes: only x86-64 is traced by uprobes, and this host is ${process.arch}`,
    );
  }
  if (request.pid === process.pid) {
    throw new TraceError('TRACE_INVALID', `uprobes: process ${request.pid} is this one; it cannot trace itself`);
  }
  const full: Required<UprobeOptions> = {
    cpuShare: options.cpuShare ?? 0.05,
    hostShare: options.hostShare ?? 0.25,
    stackWords: request.maxFrames === 1 ? 16 : (options.stackWords ?? 128),
    bufferKiB: options.bufferKiB ?? 32 * 1024,
    pollMs: options.pollMs ?? 40,
    maxBlocks: options.maxBlocks ?? 200_000,
    maxSites: options.maxSites ?? 16_384,
    costs: options.costs ?? MEASURED_COSTS,
  };
  requireRange('pid', request.pid, 1, 4_194_304);
  requireRange('maxFrames', request.maxFrames ?? 64, 1, 1024);
  requireRange('cpuShare', full.cpuShare, 0.001, 1);
  requireRange('hostShare', full.hostShare, 0.001, 64);
  requireRange('stackWords', full.stackWords, 0, MAX_STACK_WORDS);
  requireRange('bufferKiB', full.bufferKiB, 256, 1_048_576);
  requireRange('pollMs', full.pollMs, 5, 1_000);
  requireRange('maxBlocks', full.maxBlocks, 1, 10_000_000);
  requireRange('maxSites', full.maxSites, 1, 1_000_000);
  return full;
}

function requireRange(name: string, value: number, low: number, high: number): void {
  if (value >= low && value <= high) return;
  throw new TraceError('TRACE_INVALID', `uprobes: ${name} is ${value}; it must be between ${low} and ${high}`);
}
