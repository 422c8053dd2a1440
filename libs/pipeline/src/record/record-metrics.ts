import { Counter, Gauge, Histogram, type Registry } from '@tidemark/service';

export interface RecordFigures {
  pendingRecords: number;
  pendingBytes: number;
  /** Partitions whose batch could not be written at the last try. */
  failing: number;
}

export function createRecordMetrics(registry: Registry, figures: () => RecordFigures) {
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (figures: RecordFigures) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(pick(figures()));
      },
    });
  };
  gauge('tidemark_record_pending_records', 'Records taken from the log and not yet written.', (f) => f.pendingRecords);
  gauge('tidemark_record_pending_bytes', 'Bytes of the records not yet written.', (f) => f.pendingBytes);
  gauge('tidemark_record_failing_partitions', 'Partitions that history does not take now.', (f) => f.failing);
  const counter = <Label extends string>(name: string, help: string, label: Label): Counter<Label> =>
    new Counter({ name, help, labelNames: [label], registers });
  return {
    batches: counter('tidemark_record_batches_total', 'Batches written.', 'topic'),
    inserts: counter('tidemark_record_inserts_total', 'Inserts, each of one part.', 'table'),
    rows: counter('tidemark_record_rows_total', 'Rows written.', 'table'),
    retries: counter('tidemark_record_retries_total', 'Tries that history did not take.', 'topic'),
    rejected: counter('tidemark_record_rejected_total', 'Damaged records put aside.', 'topic'),
    repeated: counter('tidemark_record_repeated_total', 'Records left out because history had them.', 'topic'),
    lost: counter('tidemark_record_lost_batches_total', 'Batches under way that the log no longer had.', 'topic'),
    seconds: new Histogram({
      name: 'tidemark_record_batch_seconds',
      help: 'From the cut of batches that are written at once until all are committed.',
      labelNames: ['topic'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers,
    }),
  };
}

export type RecordMetrics = ReturnType<typeof createRecordMetrics>;
