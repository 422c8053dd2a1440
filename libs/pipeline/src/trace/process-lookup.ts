import {
  createProcfs,
  createRows,
  createStatIdentity,
  fillFromStat,
  fillFromStatus,
  readHost,
  ROW,
  statName,
  type Procfs,
} from '@tidemark/procfs';
import { createFactsReader } from '../collect/facts.js';
import { bootOf } from '../collect/node-record.js';
import { createRedactor } from '../collect/redact.js';
import type { ProcessLookup } from './trace-ports.js';

export interface ProcessLookupOptions {
  /** Default `/proc`. */
  procRoot?: string;
  /** Further expressions whose matches are blanked in command lines. */
  redact?: readonly string[];
  /** Characters of a command line that are told. Default 4,096. */
  commandLineLength?: number;
}

/** Processes of this host, from `/proc`. Throws CollectError when an expression is none. */
export function createProcessLookup(options: ProcessLookupOptions = {}): ProcessLookup {
  const procfs = createProcfs({ root: options.procRoot ?? '/proc' });
  const facts = createFactsReader({
    procfs,
    bootedAt: () => 0,
    redactor: createRedactor(options.redact ?? []),
    users: { nameOf: () => null },
    commandLineLength: options.commandLineLength ?? 4096,
  });
  const identity = createStatIdentity();
  const row = createRows();
  return {
    find(pid) {
      const name = readProcessFile(procfs, pid, 'stat', (length) => {
        const { bytes } = procfs.buffer;
        return fillFromStat(bytes, length, procfs.units, row, 0, identity) ? statName(bytes, identity) : undefined;
      });
      if (name === undefined) return undefined;
      const { start } = identity;
      const known = facts.read(pid, start, name);
      return known && { pid, start, program: known.program, commandLine: known.commandLine };
    },
    anonymousBytes(pid) {
      const bytes = readProcessFile(procfs, pid, 'status', (length) =>
        fillFromStatus(procfs.buffer.bytes, length, row, 0) ? row[ROW.rssAnon]! + row[ROW.swap]! : undefined,
      );
      return bytes === undefined || Number.isNaN(bytes) ? null : bytes;
    },
  };
}

function readProcessFile<T>(
  procfs: Procfs,
  pid: number,
  name: 'stat' | 'status',
  parse: (length: number) => T | undefined,
): T | undefined {
  const file = procfs.processFile(pid, name);
  const outcome = file.read();
  file.close();
  return outcome === 'changed' ? parse(file.length) : undefined;
}

/** The boot id by which the processes of this host are named. Throws ProcfsError when `procRoot` is no proc file system. */
export function readBoot(procRoot = '/proc'): string {
  return bootOf(readHost(createProcfs({ root: procRoot })));
}
