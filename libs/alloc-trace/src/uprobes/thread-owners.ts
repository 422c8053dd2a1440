import { readFileSync, readdirSync, statSync } from 'node:fs';
import { mappingAt, type Mapping } from './mappings.js';

/**
 * Tells the threads of the traced process from those of its children. The kernel follows both, so that the first
 * allocation of a new thread is seen; an event names its thread alone.
 */
export interface ThreadOwners {
  /** Whether the thread is one of the process. `stack` is the stack pointer of one of its events. */
  owns(thread: number, stack: number): boolean;
  /** Takes mappings read anew. */
  remap(mappings: readonly Mapping[]): void;
}

const MAX_THREADS = 65_536;

/**
 * A thread that is gone before it could be looked up is told by its stack: a forked child runs on that of the thread
 * that forked it, a thread on one of its own. So a stack within that of a living thread means a child.
 */
export function threadOwners(pid: number, mappings: readonly Mapping[]): ThreadOwners {
  let known = new Map<number, boolean>();
  let stacks = new Map<number, number>();
  let current = mappings;
  for (const thread of threadsOf(pid)) known.set(thread, true);
  const decide = (thread: number, stack: number): boolean => {
    if (exists(`/proc/${pid}/task/${thread}`)) return true;
    const process = processOf(thread);
    if (process !== null) return process === pid;
    const area = mappingAt(current, stack);
    if (area === undefined) return true;
    if (area.path === '[stack]') return false;
    return ![...stacks].some(
      ([other, at]) => at >= area.start && at < area.end && exists(`/proc/${pid}/task/${other}`),
    );
  };
  return {
    owns: (thread, stack) => {
      let mine = known.get(thread);
      if (mine === undefined) {
        if (known.size >= MAX_THREADS) {
          known = new Map(threadsOf(pid).map((one) => [one, true]));
          stacks = new Map();
        }
        known.set(thread, (mine = decide(thread, stack)));
      }
      if (mine) stacks.set(thread, stack);
      return mine;
    },
    remap: (next) => void (current = next),
  };
}

export function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Tgid of /proc/TID/status; null when the thread is gone. */
function processOf(thread: number): number | null {
  try {
    return Number(/^Tgid:\s*(\d+)$/m.exec(readFileSync(`/proc/${thread}/status`, 'latin1'))?.[1] ?? NaN);
  } catch {
    return null;
  }
}
