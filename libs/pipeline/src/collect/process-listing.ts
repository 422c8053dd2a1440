import { parseLoadavg, ProcfsError, type KeptFile, type Procfs } from '@tidemark/procfs';

/** Rounds after which all are listed even if nothing hints at it: a process can be put back at a pid of its own (CRIU). */
const LIST_AT_LEAST_EVERY = 60;
/** Looking up a pid costs this many times what listing one does, about. */
const LOOK_UP_PRICE = 16;

/** Where new processes may be. */
export type Newcomers =
  /** The pids of all processes there are. */
  | { kind: 'all'; pids: readonly number[] }
  /** Pids given out of late: to processes and to threads, of which some are gone. */
  | { kind: 'range'; from: number; to: number }
  | { kind: 'none' };

/** Says where new processes may be, without listing the directory where it can. */
export interface ProcessListing {
  /** `known` is the number of processes that are watched. Throws PROCFS_ROOT when the directory cannot be listed. */
  newcomers(known: number): Newcomers;
  close(): void;
}

/**
 * The last pid that was given out stands in `/proc/loadavg`, and pids are given out in ascending order: while it stays,
 * no process was born; when it moved by little, looking up the pids in between is cheaper than listing all. It counts
 * in the reader's pid namespace, so it is of use only if `/proc` shows that very namespace: then `/proc/self` names
 * this process by its own pid.
 *
 * A pid is given out before its process can be seen, so each is looked up in two rounds.
 */
export function createProcessListing(procfs: Procfs): ProcessListing {
  const pids: number[] = [];
  const none = { kind: 'none' } as const;
  const own = procfs.readLink('self') === String(process.pid);
  const loadavg = own ? procfs.systemFile('loadavg') : undefined;
  let last = Number.NaN;
  let lastButOne = Number.NaN;
  let sinceListing = 0;
  return {
    newcomers(known) {
      const now = loadavg ? readLastPid(loadavg, procfs, last) : Number.NaN;
      const from = lastButOne + 1;
      lastButOne = last;
      last = now;
      const count = now - from + 1;
      // NaN makes every comparison false, so what is not known leads to a listing.
      if (++sinceListing < LIST_AT_LEAST_EVERY && count >= 0 && count <= known / LOOK_UP_PRICE) {
        return count === 0 ? none : { kind: 'range', from, to: now };
      }
      sinceListing = 0;
      procfs.listPids(pids);
      return { kind: 'all', pids };
    },
    close: () => loadavg?.close(),
  };
}

function readLastPid(loadavg: KeptFile, procfs: Procfs, before: number): number {
  const outcome = loadavg.read();
  if (outcome === 'same') return before;
  if (outcome !== 'changed') return Number.NaN;
  try {
    return parseLoadavg(procfs.buffer.bytes, loadavg.length).lastPid;
  } catch (error) {
    if (error instanceof ProcfsError) return Number.NaN;
    throw error;
  }
}
