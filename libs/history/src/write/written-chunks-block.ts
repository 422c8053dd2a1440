import { block, DAY_MS, type Block } from './block.js';
import { countColumn, dictionaryColumn, textColumn, timeColumn, words32Column } from './native-columns.js';

/** The newest chunk of one run of a node's collector that a batch brings. */
export interface WrittenRun {
  node: string;
  run: string;
  seq: number;
}

export interface WrittenChunks {
  topic: string;
  partition: number;
  batch: number;
  runs: readonly WrittenRun[];
  /** By the writer's clock, epoch milliseconds: the rows are kept for days from then on. */
  at: number;
}

/**
 * Notes which chunks the batch brought. To be written after all its other blocks: then a chunk is noted only when its
 * rows are in their tables. Rows of one run fold into one, so the block has no trace.
 */
export function writtenChunksBlock({ topic, partition, batch, runs, at }: WrittenChunks): Block {
  const columns = [
    dictionaryColumn('topic', [{ text: topic, rows: runs.length }]),
    words32Column(
      'partition',
      Uint32Array.from(runs, () => partition),
    ),
    textColumn(
      'node',
      runs.map(({ node }) => node),
    ),
    textColumn(
      'run',
      runs.map(({ run }) => run),
    ),
    countColumn(
      'seq',
      runs.map(({ seq }) => seq),
    ),
    countColumn(
      'batch',
      runs.map(() => batch),
    ),
    timeColumn(
      'at',
      runs.map(() => at),
    ),
  ];
  return block('written_chunks', Math.floor(at / DAY_MS), runs.length, columns, null);
}
