import type { BlockTrace } from './block.js';

/** SQL that is true for the rows of the batches and no others. */
export function traceCondition(trace: BlockTrace): { where: string; parameters: Record<string, unknown> } {
  const terms = [
    'batch IN {batches:Array(UInt64)}',
    'at >= fromUnixTimestamp64Milli({from:Int64})',
    'at <= fromUnixTimestamp64Milli({to:Int64})',
  ];
  const parameters: Record<string, unknown> = { batches: trace.batches, from: trace.from, to: trace.to };
  if (trace.nodes) {
    terms.push('node >= {first_node:String}', 'node <= {last_node:String}');
    parameters['first_node'] = trace.nodes[0];
    parameters['last_node'] = trace.nodes.at(-1);
  }
  return { where: terms.join(' AND '), parameters };
}
