import type { NodeId } from '@tidemark/contracts';
import DataLoader from 'dataloader';
import type { Connection } from '../connection.js';
import { keyOf, loadMinima, loadSeries, type KeptMinima, type KeptSeries, type NodeBoot } from './detector.js';

/** What a processor asks of one node at a time. */
export interface DetectorLoader {
  loadSeries(node: NodeId, boot: string): Promise<KeptSeries[]>;
  loadMinima(node: NodeId, boot: string): Promise<KeptMinima[]>;
}

/** Boots that one query asks for, at most. */
const TOGETHER = 200;

/**
 * Asks for many nodes in one query: a processor that begins asks for all of its nodes at once, and a query costs the server
 * more than its rows. Nothing is remembered.
 */
export function createDetectorLoader(connection: Connection): DetectorLoader {
  const together = <T>(load: (connection: Connection, asked: readonly NodeBoot[]) => Promise<T[]>) =>
    new DataLoader<NodeBoot, T, string>((asked) => load(connection, asked), {
      cache: false,
      cacheKeyFn: keyOf,
      maxBatchSize: TOGETHER,
    });
  const series = together(loadSeries);
  const minima = together(loadMinima);
  return {
    loadSeries: (node, boot) => series.load({ node, boot }),
    loadMinima: (node, boot) => minima.load({ node, boot }),
  };
}
