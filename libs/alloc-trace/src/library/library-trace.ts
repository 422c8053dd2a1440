import { TraceError } from '../errors.js';
import { MAX_SITES, STATE } from '../ring/format.js';
import type { RawStack, TraceObservation, TraceRequest, TraceSource } from '../trace-source.js';
import { checkRequest, DEFAULT_SAMPLE_INTERVAL } from './control.js';
import { closeFound, findRing, findRingIn, type FoundRing } from './find-ring.js';
import { watchProcess, type ProcessWatch } from './process-watch.js';
import { createTraceDeps, type TraceDeps } from './trace-deps.js';
import { createTracedImage, type TracedImage, type Wish } from './traced-image.js';

export const DEFAULT_SURVIVORS_PER_SITE = 32;
export const DEFAULT_MAX_SURVIVORS = 10_000;

export interface LibraryTraceOptions {
  /** Where the ring file is, when the process was started with one there: its last state is found after its end as well. */
  directory?: string;
  deps?: Partial<TraceDeps>;
}

/** After an exec, the next image has its file within this, or runs without the library; milliseconds. */
const EXEC_GRACE_MS = 2000;

/**
 * Traces a process that runs with the library. A process that is traced already (its reader was killed) goes on with its
 * figures. Throws TRACE_GONE, TRACE_MISSING when it runs without the library, TRACE_DENIED, TRACE_REFUSED, TRACE_FORMAT,
 * TRACE_INVALID.
 */
export async function openLibraryTrace(request: TraceRequest, options: LibraryTraceOptions = {}): Promise<TraceSource> {
  const deps = createTraceDeps(options.deps);
  const wish = {
    mode: request.mode,
    sampleInterval: request.sampleInterval ?? DEFAULT_SAMPLE_INTERVAL,
    maxFrames: request.maxFrames ?? 64,
  };
  checkRequest(wish);
  const { found, watch } = findProcess(request.pid, options.directory, deps);
  const session = createSession(request, wish, watch, deps);
  try {
    session.image = createTracedImage(found, session.imageOptions, deps);
    if (session.watch?.alive()) await session.image.ask(wish);
  } catch (error) {
    closeFound(found);
    watch?.close();
    throw error;
  }
  session.beats = setInterval(() => beat(session), BEAT_MS).unref();
  return sourceOf(session);
}

function findProcess(
  pid: number,
  directory: string | undefined,
  { procRoot }: TraceDeps,
): { found: FoundRing; watch: ProcessWatch | null } {
  if (directory !== undefined) {
    const found = findRingIn(directory, pid);
    if (found === undefined) throw missing(pid, `${directory}/${pid}.ring is not there`);
    return { found, watch: watchOf(procRoot, pid, found.layout.startTime) };
  }
  const watch = watchProcess(procRoot, pid);
  try {
    const found = findRing(procRoot, watch);
    if (found === undefined) throw missing(pid, 'it has no ring file mapped');
    return { found, watch };
  } catch (error) {
    watch.close();
    throw error;
  }
}

function missing(pid: number, how: string): TraceError {
  return new TraceError('TRACE_MISSING', `process ${pid} does not run with the preload library: ${how}`);
}

/** Null when the process has ended, also when another one has its number by now. */
function watchOf(procRoot: string, pid: number, startTime: number): ProcessWatch | null {
  let watch: ProcessWatch;
  try {
    watch = watchProcess(procRoot, pid);
  } catch {
    return null;
  }
  if (watch.startTime === startTime) return watch;
  watch.close();
  return null;
}

interface Session {
  pid: number;
  wish: Wish;
  watch: ProcessWatch | null;
  deps: TraceDeps;
  imageOptions: { pid: number; survivorsPerSite: number; maxSurvivors: number };
  image: TracedImage | undefined;
  /** Images before this one: sites of each have numbers of their own. */
  images: number;
  /** When the image was seen to be over without another in its place, monotonic milliseconds. */
  overSince: number | null;
  last: TraceObservation | undefined;
  stopped: boolean;
  /** Lets the threads' clocks go on between looks. */
  beats: NodeJS.Timeout | undefined;
}

/**
 * A thread reads the clock at every 16th call, and when it sees that somebody looked: a block's time is no older than this,
 * however seldom the thread allocates. Milliseconds.
 */
const BEAT_MS = 50;

function createSession(request: TraceRequest, wish: Wish, watch: ProcessWatch | null, deps: TraceDeps): Session {
  return {
    pid: request.pid,
    wish,
    watch,
    deps,
    imageOptions: {
      pid: request.pid,
      survivorsPerSite: request.survivorsPerSite ?? DEFAULT_SURVIVORS_PER_SITE,
      maxSurvivors: request.maxSurvivors ?? DEFAULT_MAX_SURVIVORS,
    },
    image: undefined,
    images: 0,
    overSince: null,
    last: undefined,
    stopped: false,
    beats: undefined,
  };
}

function sourceOf(session: Session): TraceSource {
  let queue: Promise<unknown> = Promise.resolve();
  /** One after the other: a look must not run into a stop. */
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const turn = queue.then(act, act);
    queue = turn.catch(() => undefined);
    return turn;
  };
  return {
    means: 'LIBRARY',
    pid: session.pid,
    observe: () => inTurn(() => observe(session)),
    stackOf: (site) => stackOf(session, site),
    change: (mode, sampleInterval) =>
      inTurn(async () => {
        const wish = { ...session.wish, mode, sampleInterval: sampleInterval ?? session.wish.sampleInterval };
        checkRequest(wish);
        session.wish = wish;
        if (isRunning(session)) await session.image!.ask(wish);
      }),
    stop: () => inTurn(() => Promise.resolve(stop(session))),
  };
}

function beat({ image, beats }: Session): void {
  try {
    image!.beat();
  } catch {
    // The next look says what is wrong.
    clearInterval(beats);
  }
}

function isRunning(session: Session): boolean {
  return !session.stopped && session.last?.ended !== true && session.watch?.alive() === true;
}

async function observe(session: Session): Promise<TraceObservation> {
  if (session.last?.ended) return session.last;
  if (session.stopped) throw new TraceError('TRACE_GONE', `process ${session.pid}: its tracing was stopped`);
  const alive = session.watch?.alive() === true;
  await followExec(session, alive);
  const over = alive && isOver(session);
  const image = session.image!;
  if (alive) image.renew();
  const seen = await image.reader.observe(!alive || over, image.isVoid);
  session.last = numbered(seen, session.images);
  if (!seen.ended && seen.mode === 'DORMANT' && session.wish.mode !== 'DORMANT') {
    session.last.warnings.push(DORMANT_WARNING);
    await image.ask(session.wish);
  }
  if (session.images > 0) session.last.warnings.push(EXEC_WARNING);
  if (session.last.ended) finish(session);
  return session.last;
}

/** All is known: only the directory stays open, for `stop` to remove the file. */
function finish({ image, watch, beats }: Session): void {
  clearInterval(beats);
  image!.reader.keepStacks();
  image!.found.file.close();
  watch?.close();
}

const DORMANT_WARNING =
  'The library went dormant: another reader stopped it, or nobody looked for too long. The figures begin anew.';
const EXEC_WARNING = 'The process replaced its program (exec) while it was traced: the figures are of the new one.';

/** Goes over to the file of the next image when there is one; also of a process that has ended since. */
async function followExec(session: Session, alive: boolean): Promise<void> {
  const { image, deps } = session;
  const { place, file, layout } = image!.found;
  const inode = place?.inode() ?? null;
  if (place === null || inode === null || inode === file.stats.ino) return;
  const next = findRingIn(place.directory, layout.pid, file.name);
  if (next === undefined) return;
  if (next.layout.startTime !== layout.startTime || next.file.stats.uid !== file.stats.uid) return closeFound(next);
  session.image = createTracedImage(next, session.imageOptions, deps);
  session.images++;
  session.overSince = null;
  image!.close();
  if (alive) await session.image.ask(session.wish);
}

/** True when the image is over, and none with the library came after it. */
function isOver(session: Session): boolean {
  const { image, deps } = session;
  if (image!.reader.state().state !== STATE.EXECED) {
    session.overSince = null;
    return false;
  }
  session.overSince ??= deps.clock();
  return deps.clock() - session.overSince >= EXEC_GRACE_MS;
}

function numbered(seen: TraceObservation, images: number): TraceObservation {
  if (images === 0) return seen;
  const from = images * MAX_SITES;
  return {
    ...seen,
    sites: seen.sites.map((site) => ({ ...site, site: site.site + from })),
    survivors: seen.survivors.map((survivor) => ({ ...survivor, site: survivor.site + from })),
  };
}

function stackOf({ image, images }: Session, site: number): RawStack | undefined {
  return image?.reader.stackOf(site - images * MAX_SITES);
}

function stop(session: Session): void {
  if (session.stopped) return;
  const { image, watch, beats } = session;
  clearInterval(beats);
  try {
    const { file, place } = image!.found;
    if (session.last?.ended !== true) image!.reader.keepStacks();
    if (isRunning(session)) image!.goDormant();
    else place?.remove(file);
  } finally {
    session.stopped = true;
    image!.close();
    watch?.close();
  }
}
