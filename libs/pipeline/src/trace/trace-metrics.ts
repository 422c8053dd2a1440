import { Counter, Gauge, Histogram, type Registry } from '@tidemark/service';

export interface TraceFigures {
  active: number;
  waitingBytes: number;
}

export function createTraceMetrics(registry: Registry, figures: () => TraceFigures) {
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (figures: TraceFigures) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(pick(figures()));
      },
    });
  };
  gauge('tidemark_trace_active', 'Processes whose allocations are traced.', ({ active }) => active);
  gauge('tidemark_trace_waiting_bytes', 'Bytes of chunks that wait for the event log.', (f) => f.waitingBytes);
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  return {
    chunks: counter('tidemark_trace_chunks_total', 'Allocation chunks made.'),
    bytes: counter('tidemark_trace_bytes_total', 'Bytes of the allocation chunks made.'),
    dropped: counter('tidemark_trace_dropped_looks_total', 'Looks left out because the event log was away.'),
    failures: counter('tidemark_trace_failures_total', 'Looks at traced processes that failed.'),
    answers: new Counter({
      name: 'tidemark_trace_answers_total',
      help: 'Answers to trace requests, by the state they report.',
      labelNames: ['state'],
      registers,
    }),
    seconds: new Histogram({
      name: 'tidemark_trace_look_seconds',
      help: 'Time that one look at one traced process takes.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
  };
}

export type TraceMetrics = ReturnType<typeof createTraceMetrics>;
