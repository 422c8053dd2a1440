import { Counter, Gauge, type Registry } from '@tidemark/service';

export interface MatchFigures {
  processes: number;
  sites: number;
  unmatched: number;
}

export function createMatchMetrics(registry: Registry, figures: () => MatchFigures) {
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (figures: MatchFigures) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(pick(figures()));
      },
    });
  };
  gauge('tidemark_match_processes', 'Traced processes whose allocations are matched.', (f) => f.processes);
  gauge('tidemark_match_sites', 'Allocation sites known.', (f) => f.sites);
  gauge('tidemark_match_unmatched', 'Allocations known that no free was seen of.', (f) => f.unmatched);
  return {
    chunks: new Counter({ name: 'tidemark_match_chunks_total', help: 'Allocation chunks taken.', registers }),
    rejected: new Counter({ name: 'tidemark_match_rejected_total', help: 'Damaged chunks put aside.', registers }),
    findings: new Counter({
      name: 'tidemark_match_findings_total',
      help: 'Findings on sites written, by the state they report.',
      labelNames: ['state'],
      registers,
    }),
  };
}

export type MatchMetrics = ReturnType<typeof createMatchMetrics>;
