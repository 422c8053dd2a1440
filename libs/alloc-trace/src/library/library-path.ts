import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TraceError } from '../errors.js';

/** `libs/alloc-trace/{src,dist}/library` of a checkout. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const BUILT = join(ROOT, 'preload/build/libtidemark.so');

/**
 * Path of the preload library: `configured` when given, else where `npm run setup` builds it. Throws TRACE_MISSING when
 * there is none.
 */
export function libraryPath(configured?: string): string {
  const path = configured ?? BUILT;
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const remedy = configured === undefined ? 'run `npm run setup` with a C compiler and make installed' : 'correct it';
    throw new TraceError('TRACE_MISSING', `The preload library is not at ${path}: ${remedy}.`, { cause: error });
  }
  return path;
}
