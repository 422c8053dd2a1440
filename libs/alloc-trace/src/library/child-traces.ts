import { existsSync, readdirSync, rmSync } from 'node:fs';
import type { TraceRequest, TraceSource } from '../trace-source.js';
import { openLibraryTrace } from './library-trace.js';
import type { TraceDeps } from './trace-deps.js';

export interface ChildOptions {
  /** Where the ring files of all of them appear. */
  directory: string;
  /** Not a child. */
  parent: number;
  request: Omit<TraceRequest, 'pid'>;
  deps: TraceDeps;
  onChild: (source: TraceSource) => void;
}

export interface Children {
  sources(): readonly TraceSource[];
  /** Looks for new ones now. */
  look(): Promise<void>;
  /** Stops looking, and all sources. */
  close(): Promise<void>;
}

const LOOK_MS = 100;
/** Each source holds a few files and some memory: the children after so many are traced by nobody. */
export const MAX_CHILDREN = 1000;

/** Opens a source for each ring file that appears in a directory. */
export function followChildren({ directory, parent, request, deps, onChild }: ChildOptions): Children {
  const sources = new Map<number, TraceSource>();
  let turn: Promise<void> = Promise.resolve();
  let closed = false;

  const lookOnce = async (): Promise<void> => {
    for (const pid of pidsIn(directory)) {
      if (closed) return;
      if (pid === parent || sources.has(pid)) continue;
      if (sources.size >= MAX_CHILDREN) {
        forget(directory, pid, deps.procRoot);
        continue;
      }
      try {
        const source = await openLibraryTrace({ ...request, pid }, { directory, deps });
        sources.set(pid, source);
        onChild(source);
      } catch {
        // It ended or was replaced right now: the next look finds what is there then.
      }
    }
  };
  const look = (): Promise<void> => (turn = turn.then(lookOnce));
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();

  return {
    sources: () => [...sources.values()],
    look,
    close: async () => {
      closed = true;
      clearInterval(timer);
      await turn;
      await Promise.all([...sources.values()].map((source) => source.stop()));
    },
  };
}

/** Nobody is going to read it: its memory is given back when the process is gone. */
function forget(directory: string, pid: number, procRoot: string): void {
  if (!existsSync(`${procRoot}/${pid}`)) rmSync(`${directory}/${pid}.ring`, { force: true });
}

function pidsIn(directory: string): number[] {
  try {
    return readdirSync(directory).flatMap((name) => {
      const pid = /^(\d+)\.ring$/.exec(name)?.[1];
      return pid === undefined ? [] : [Number(pid)];
    });
  } catch {
    return [];
  }
}
