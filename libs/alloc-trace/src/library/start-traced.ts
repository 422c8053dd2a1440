import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { TraceError } from '../errors.js';
import { isSecure } from '../traceable/trace-means.js';
import { whyNotPreloadable } from '../traceable/preloadable.js';
import type { TraceRequest, TraceSource } from '../trace-source.js';
import { followChildren, type Children } from './child-traces.js';
import { checkRequest, DEFAULT_SAMPLE_INTERVAL } from './control.js';
import { libraryEnvironment } from './environment.js';
import { libraryPath } from './library-path.js';
import { openLibraryTrace } from './library-trace.js';
import { makeRunDirectory } from './run-directory.js';
import { createTraceDeps, type TraceDeps } from './trace-deps.js';
import type { ProgramExit, StartTracedOptions, TracedProgram } from './traced-program.js';

/** The library makes its file before the program's first instruction; a loaded machine may need this long, milliseconds. */
const RING_MS = 30_000;
const LOOK_MS = 2;
/** A program in secure execution shows itself by now, milliseconds. */
const SECURE_MS = 1000;

/**
 * Starts a program with the library in it; its standard streams are this process's unless told otherwise. Throws before it starts TRACE_REFUSED
 * when the library cannot be loaded into it, TRACE_NOT_FOUND, TRACE_MISSING without library or tmpfs, TRACE_INVALID; after
 * that TRACE_REFUSED or TRACE_TIMEOUT when no ring file came, with the program ended.
 */
export async function startTraced(
  command: readonly string[],
  options: StartTracedOptions,
  overrides: Partial<TraceDeps> = {},
): Promise<TracedProgram> {
  const deps = createTraceDeps(overrides);
  const request = {
    sampleInterval: DEFAULT_SAMPLE_INTERVAL,
    maxFrames: 64,
    ...withoutUndefined(requestOf(options)),
  };
  checkRequest(request);
  const [program, ...words] = command;
  if (program === undefined) throw new TraceError('TRACE_INVALID', 'There is no program to start.');
  checkProgram(program, options);
  const library = libraryPath(options.library);
  const directory = makeRunDirectory(options.runFolders, deps.procRoot);
  try {
    const env = libraryEnvironment(options.environment, {
      library,
      directory,
      mode: request.mode,
      sampleInterval: request.sampleInterval,
      maxFrames: request.maxFrames,
      follow: options.follow ?? false,
    });
    const child = spawn(program, words, { stdio: options.stdio ?? 'inherit', env, cwd: options.directory });
    const { pid, exited } = await started(program, child);
    const source = await sourceOf({ ...request, pid }, directory, { child, exited, deps });
    return programOf({ pid, source, exited, directory, options, request, deps });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

type Request = Omit<TraceRequest, 'pid'> & { sampleInterval: number; maxFrames: number };

function requestOf(options: StartTracedOptions): Omit<TraceRequest, 'pid'> {
  const { mode, sampleInterval, maxFrames, survivorsPerSite, maxSurvivors } = options;
  return { mode, sampleInterval, maxFrames, survivorsPerSite, maxSurvivors } as Omit<TraceRequest, 'pid'>;
}

function withoutUndefined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function checkProgram(program: string, { environment, directory }: StartTracedOptions): void {
  const refusal = whyNotPreloadable(program, { path: environment['PATH'], directory });
  if (refusal === null) return;
  const isThere = refusal.code !== 'NOT_FOUND' && refusal.code !== 'NOT_EXECUTABLE';
  throw new TraceError(isThere ? 'TRACE_REFUSED' : 'TRACE_NOT_FOUND', refusal.sentence);
}

function started(program: string, child: ChildProcess): Promise<{ pid: number; exited: Promise<ProgramExit> }> {
  const exited = new Promise<ProgramExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve({ pid: child.pid!, exited }));
    child.once('error', (error) => {
      reject(new TraceError('TRACE_NOT_FOUND', `${program}: cannot be started: ${error.message}`, { cause: error }));
    });
  });
}

interface Start {
  child: ChildProcess;
  exited: Promise<ProgramExit>;
  deps: TraceDeps;
}

/** Waits for the ring file. The program may well have ended before it is seen. */
async function sourceOf(request: TraceRequest, directory: string, start: Start): Promise<TraceSource> {
  const { child, exited, deps } = start;
  const began = deps.clock();
  let end: ProgramExit | undefined;
  void exited.then((found) => {
    end = found;
  });
  for (;;) {
    const over = end;
    try {
      return await openLibraryTrace(request, { directory, deps });
    } catch (error) {
      if (!(error instanceof TraceError) || error.code !== 'TRACE_MISSING') {
        child.kill();
        throw error;
      }
      if (over !== undefined) throw endedWithout(child, over);
    }
    const waited = deps.clock() - began;
    if (waited > SECURE_MS && isSecure(deps.procRoot, request.pid)) throw giveUp(child, SECURE);
    if (waited > RING_MS) throw giveUp(child, LATE);
    await deps.sleep(LOOK_MS);
  }
}

const SECURE = 'it runs in secure execution (setuid, setgid or file capabilities), which takes no library';
const LATE = `the library made no ring file in ${RING_MS / 1000} s`;

function endedWithout(child: ChildProcess, { code, signal }: ProgramExit): TraceError {
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  return new TraceError('TRACE_REFUSED', `${child.spawnfile} ended (${how}) and had not loaded the library.`);
}

function giveUp(child: ChildProcess, why: string): TraceError {
  child.kill();
  return new TraceError(why === LATE ? 'TRACE_TIMEOUT' : 'TRACE_REFUSED', `${child.spawnfile} was ended: ${why}.`);
}

interface Running {
  pid: number;
  source: TraceSource;
  exited: Promise<ProgramExit>;
  directory: string;
  options: StartTracedOptions;
  request: Request;
  deps: TraceDeps;
}

function programOf({ pid, source, exited, directory, options, request, deps }: Running): TracedProgram {
  const children: Children | undefined = options.follow
    ? followChildren({ directory, parent: pid, request, deps, onChild: options.onChild ?? (() => undefined) })
    : undefined;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await children?.close();
    await source.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return {
    pid,
    source,
    children: () => children?.sources() ?? [],
    exited: exited.then(async (end) => {
      await children?.look();
      return end;
    }),
    close: () => (closing ??= close()),
  };
}
