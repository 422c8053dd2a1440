import { createHash } from 'node:crypto';
import type { StackFrame } from './allocation-trace.js';
import type { ProcessKey } from './ids.js';

type FramePlace = Pick<StackFrame, 'buildId' | 'module' | 'offset' | 'inlined'>;

/**
 * The name of a stack wherever it is met: 16 hexadecimal digits over (build id or else module, offset) of its frames.
 * Inlined frames have no place of their own and depend on who looked them up, so they do not count. Restarts, nodes and
 * traces of one build agree on it.
 */
export function siteId(frames: readonly FramePlace[]): string {
  let places = '';
  for (const { buildId, module, offset, inlined } of frames) {
    if (!inlined) places += `${buildId ?? module ?? ''}+${offset.toString(16)}\n`;
  }
  return createHash('sha256').update(places).digest('hex').slice(0, 16);
}

/** Subject of a finding on a site of one process. */
export function siteSubject(key: ProcessKey, site: string): string {
  return `${key}#${site}`;
}
