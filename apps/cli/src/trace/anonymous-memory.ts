import { createProcfs, parsePidStatus } from '@tidemark/procfs';

/**
 * rssAnon + swap of a process at each call, bytes; the last known value once the process is gone, null when there never
 * was one.
 */
export function watchAnonymousMemory(pid: number): () => number | null {
  const file = createProcfs().processFile(pid, 'status');
  let known: number | null = null;
  return () => {
    if (file.read() === 'gone') return known;
    const { rssAnon, vmSwap } = parsePidStatus(file.buffer.bytes, file.length);
    if (rssAnon !== undefined) known = rssAnon + (vmSwap ?? 0);
    return known;
  };
}
