import { block, DAY_MS, type Block } from './block.js';
import { countColumn, dictionaryColumn, textColumn, timeColumn, words32Column } from './native-columns.js';

/** The newest chunk of one run of a node's collector that is in the tables. */
export interface WrittenRun {
  node: string;
  run: string;
  seq: number;
}

/** That chunk, and the batch that brings it. */
export interface WrittenChunk extends WrittenRun {
  partition: number;
  batch: number;
}

/**
 * Notes which chunks were written. To come after all other blocks: then a chunk is noted only when its rows are in their
 * tables. Rows of one run fold into one, so the block has no trace.
 *
 * @param at by the writer's clock, epoch milliseconds: the rows are kept for days from then on
 */
export function writtenChunksBlock(topic: string, chunks: readonly WrittenChunk[], at: number): Block {
  const columns = [
    dictionaryColumn('topic', [{ text: topic, rows: chunks.length }]),
    words32Column(
      'partition',
      Uint32Array.from(chunks, ({ partition }) => partition),
    ),
    textColumn(
      'node',
      chunks.map(({ node }) => node),
    ),
    textColumn(
      'run',
      chunks.map(({ run }) => run),
    ),
    countColumn(
      'seq',
      chunks.map(({ seq }) => seq),
    ),
    countColumn(
      'batch',
      chunks.map(({ batch }) => batch),
    ),
    timeColumn(
      'at',
      chunks.map(() => at),
    ),
  ];
  return block('written_chunks', Math.floor(at / DAY_MS), chunks.length, columns, null);
}
