import type { EventLog } from '@tidemark/event-log';
import type { SampleChunk } from '@tidemark/contracts';

/** What is in the log, by topic. */
export type LogContents = Record<string, { partition: number; offset: number; item: unknown }[]>;

export interface Ledger {
  samples: Map<string, unknown>;
  allocations: Map<string, unknown>;
  findings: Map<string, unknown>;
}

export function checkTables(options: {
  contents: LogContents;
  chunks: readonly SampleChunk[];
  ledger: Ledger;
  /** Answers a statement with its text. */
  ask: (sql: string) => Promise<string>;
}): Promise<{ problems: string[]; figures: Record<string, number> }>;
export function readLog(
  log: EventLog,
): Promise<{ contents: LogContents; damaged: { reason: string }[]; deadLetters: unknown[] }>;
export function distinctChunks(contents: LogContents): {
  chunks: SampleChunk[];
  repeats: number;
  problems: string[];
};
