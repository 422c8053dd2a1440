import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { libraryPath, TraceError } from '@tidemark/alloc-trace';
import { limited, ok, type Check } from './check.js';

export interface TraceNeeds {
  /** Directories of programs. */
  path: string;
  /** Looks for the library elsewhere than in the checkout. */
  library?: string;
}

/** Best first; distributions add the version to the name. */
const SYMBOLIZERS = [
  'llvm-symbolizer',
  ...Array.from({ length: 20 }, (_, index) => `llvm-symbolizer-${30 - index}`),
  'addr2line',
];

/** What allocation tracing can do here. */
export function traceChecks(needs: TraceNeeds): Check[] {
  return [libraryCheck(needs), symbolCheck(needs)];
}

function libraryCheck({ library }: TraceNeeds): Check {
  const name = 'tracing library';
  try {
    return ok(name, `built: ${libraryPath(library)}`);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return limited(
      name,
      'not built: programs cannot be traced call by call',
      'install gcc and make, then run npm run setup',
    );
  }
}

function symbolCheck({ path }: TraceNeeds): Check {
  const name = 'symbols';
  const folders = path.split(delimiter);
  const found = SYMBOLIZERS.find((program) => folders.some((folder) => isProgram(join(folder, program))));
  if (found !== undefined) return ok(name, `functions, files and lines by ${found}`);
  return limited(name, 'function names only, no files and lines', 'install llvm or binutils');
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
