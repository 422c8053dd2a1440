import { basename } from 'node:path';
import { createProcfs } from '@tidemark/procfs';

const DELETED = ' (deleted)';

/** Basename of a process's executable; undefined when it is gone or may not be asked. */
export function programName(pid: number): string | undefined {
  const target = createProcfs().readLink(`${pid}/exe`);
  if (target === undefined) return undefined;
  return basename(target.endsWith(DELETED) ? target.slice(0, -DELETED.length) : target);
}

/** Its command line as one text; undefined like the name. */
export function commandOf(pid: number): string | undefined {
  const text = createProcfs().readText(`${pid}/cmdline`)?.replaceAll('\0', ' ').trim();
  return text === undefined || text === '' ? undefined : text;
}
