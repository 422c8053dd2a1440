import { createProcfs, parsePidStatus } from '@tidemark/procfs';

/** rssAnon + swap of a process at each call, bytes; null when it is gone or has no memory of its own. */
export function watchAnonymousMemory(pid: number): () => number | null {
  const file = createProcfs().processFile(pid, 'status');
  return () => {
    if (file.read() === 'gone') return null;
    const { rssAnon, vmSwap } = parsePidStatus(file.buffer.bytes, file.length);
    return rssAnon === undefined ? null : rssAnon + (vmSwap ?? 0);
  };
}
