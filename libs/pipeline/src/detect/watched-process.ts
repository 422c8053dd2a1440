import type { SampleChunk } from '@tidemark/contracts';
import type { Series } from '@tidemark/leak';

/** What is known of a process besides its figures. */
export interface ProcessFacts {
  startedAt: number;
  program: string;
  commandLine: string | null;
  user: string | null;
  cgroup: string | null;
  service: string;
}

/** A living process under the detector's eyes. */
export interface WatchedProcess {
  pid: number;
  start: number;
  facts: ProcessFacts;
  /** Last known values: a chunk names a figure only when it changed. */
  rssAnon: number | null;
  swap: number | null;
  series: Series;
}

export function factsOf(chunk: SampleChunk, row: number): ProcessFacts {
  const { facts } = chunk;
  return {
    startedAt: facts.startedAt[row]!,
    program: facts.program[row]!,
    commandLine: facts.commandLine[row]!,
    user: facts.user[row]!,
    cgroup: facts.cgroup[row]!,
    service: facts.service[row]!,
  };
}
