import { readlink } from 'node:fs/promises';
import { TraceError } from '../errors.js';
import { startOf } from './probe-names.js';

/** One program image of one process: pids are used again, and exec replaces the image. */
export interface TargetProcess {
  readonly pid: number;
  /** What became of it. A process that cannot be looked into any more counts as gone. */
  state(): Promise<'same' | 'gone' | 'replaced'>;
}

/** Throws TRACE_GONE, TRACE_DENIED. */
export async function targetProcess(pid: number): Promise<TargetProcess> {
  const start = startOf(pid);
  if (start === null || start.state === 'Z' || start.state === 'X') {
    throw new TraceError('TRACE_GONE', `uprobes: there is no process ${pid}`);
  }
  const image = await imageOf(pid);
  return {
    pid,
    state: async () => {
      const now = startOf(pid);
      if (now === null || now.startTicks !== start.startTicks || now.state === 'Z' || now.state === 'X') return 'gone';
      const current = await imageOf(pid);
      if (current === '') return startOf(pid) === null ? 'gone' : 'same';
      return current === image ? 'same' : 'replaced';
    },
  };
}

/** The executable, and where its code and its stack begin (fields 26 and 28 of stat): exec makes them anew. */
async function imageOf(pid: number): Promise<string> {
  const path = await readlink(`/proc/${pid}/exe`).catch(() => '');
  return path === '' ? '' : `${path} ${startOf(pid)?.image ?? ''}`;
}
