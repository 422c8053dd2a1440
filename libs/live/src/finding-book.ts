import type { Acknowledgement, Finding, FindingRecord, ProcessKey } from '@tidemark/contracts';

/** The newest record of one finding id. */
export interface LiveFinding {
  finding: Finding;
  acknowledgement: Acknowledgement | null;
}

/** The newest findings, bounded: the one not heard of for longest goes first. */
export interface FindingBook {
  apply(record: FindingRecord): void;
  get(id: string): LiveFinding | undefined;
  /** Newest finding on the process itself. */
  ofProcess(key: ProcessKey): LiveFinding | undefined;
  /** In no order. */
  all(): IterableIterator<LiveFinding>;
  /** Whether a finding had to go for want of room. */
  readonly overflowed: boolean;
  readonly size: number;
}

interface Entry {
  finding: Finding | null;
  acknowledgement: Acknowledgement | null;
}

export function createFindingBook(maxFindings: number): FindingBook {
  const entries = new Map<string, Entry>();
  const byProcess = new Map<ProcessKey, string>();
  let overflowed = false;

  const forget = (id: string, entry: Entry) => {
    entries.delete(id);
    const key = entry.finding?.process?.key;
    if (key !== undefined && byProcess.get(key) === id) byProcess.delete(key);
  };
  const known = (entry: Entry | undefined): LiveFinding | undefined =>
    entry?.finding ? { finding: entry.finding, acknowledgement: entry.acknowledgement } : undefined;

  /** A site's finding names its process and says nothing of it; one that is told again may be older than what is known. */
  const isNewest = (key: ProcessKey, { kind, at }: Finding): boolean =>
    kind !== 'SITE_LEAK' && at >= (entries.get(byProcess.get(key) ?? '')?.finding?.at ?? 0);

  return {
    apply(record) {
      // An acknowledgement can outlive its finding in a compacted log: it waits for the next state of that id.
      const entry: Entry = entries.get(record.id) ?? { finding: null, acknowledgement: null };
      if (record.type === 'acknowledgement') {
        if (record.at >= (entry.acknowledgement?.at ?? 0)) entry.acknowledgement = record;
      } else if (record.at >= (entry.finding?.at ?? 0)) {
        entry.finding = record;
        if (record.process && isNewest(record.process.key, record)) byProcess.set(record.process.key, record.id);
      }
      entries.delete(record.id);
      entries.set(record.id, entry);
      if (entries.size <= maxFindings) return;
      const oldest = entries.entries().next().value;
      if (oldest) forget(...oldest);
      overflowed = true;
    },
    get: (id) => known(entries.get(id)),
    ofProcess: (key) => known(entries.get(byProcess.get(key) ?? '')),
    *all() {
      for (const entry of entries.values()) {
        const finding = known(entry);
        if (finding) yield finding;
      }
    },
    get overflowed() {
      return overflowed;
    },
    get size() {
      return entries.size;
    },
  };
}
