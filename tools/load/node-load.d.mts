import type { NodeLoad, NodeLoadOptions } from './play.mjs';

/** Throws RangeError when there are more processes than a chunk has rows. */
export function createNodeLoad(options: NodeLoadOptions): NodeLoad;
