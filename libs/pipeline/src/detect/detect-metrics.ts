import { Counter, Gauge, type Registry } from '@tidemark/service';

export function createDetectMetrics(registry: Registry, series: () => number) {
  const registers = [registry];
  new Gauge({
    name: 'tidemark_detect_series',
    help: 'Processes under the eyes of the leak detector.',
    registers,
    collect() {
      this.set(series());
    },
  });
  return {
    samples: new Counter({ name: 'tidemark_detect_samples_total', help: 'Process samples judged.', registers }),
    findings: new Counter({
      name: 'tidemark_detect_findings_total',
      help: 'Finding records written, by the state they report.',
      labelNames: ['state'],
      registers,
    }),
    rejected: new Counter({ name: 'tidemark_detect_rejected_total', help: 'Damaged chunks put aside.', registers }),
    saved: new Counter({ name: 'tidemark_detect_snapshots_total', help: 'Series kept in history.', registers }),
  };
}

export type DetectMetrics = ReturnType<typeof createDetectMetrics>;
