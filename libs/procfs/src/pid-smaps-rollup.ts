import { ByteScanner } from './byte-scanner.js';
import { ROW, wireCount, type ProcessRow } from './process-row.js';

const KIB = 1024;
const P = 80;
const S = 83;

const scanner = new ByteScanner();

const sum = { mappings: 0, pss: Number.NaN, privateClean: 0, privateDirty: 0, sharedDirty: 0 };

/**
 * The hot path: `/proc/[pid]/smaps_rollup` (since 4.14), or the sum over `/proc/[pid]/smaps` where there is none, into
 * `dirty`, `pss` and `uss` of a row at `offset`, without allocating.
 *
 * Both files have the same lines, `smaps` once per mapping, so one walk serves both. They agree to the byte but for
 * Pss, which each mapping rounds down to a KiB: the sum is lower by less than 1 KiB a mapping.
 *
 * False, and nothing written, when no mapping with its figures is in the block: as for a process that has given up its
 * address space since the file was opened.
 */
export function fillFromSmaps(bytes: Uint8Array, length: number, row: ProcessRow, offset: number): boolean {
  scanner.reset(bytes, length);
  sum.pss = Number.NaN;
  sum.mappings = sum.privateClean = sum.privateDirty = sum.sharedDirty = 0;
  if (!scanner.done) {
    do takeLine();
    while (scanner.nextLine());
  }
  if (sum.mappings === 0) return false;
  row[offset + ROW.dirty] = wireCount((sum.privateDirty + sum.sharedDirty) * KIB);
  row[offset + ROW.pss] = wireCount(sum.pss * KIB);
  row[offset + ROW.uss] = wireCount((sum.privateClean + sum.privateDirty) * KIB);
  return true;
}

/** Header lines begin with an address in small hexadecimal digits, so no path can pass for a figure. */
function takeLine(): void {
  const { bytes, at } = scanner;
  const first = bytes[at];
  if (first === P) {
    if (bytes[at + 1] === 115) {
      // Before 2.6.25 there is no Pss, and its sum stays unknown.
      if (scanner.take('Pss:')) sum.pss = (Number.isNaN(sum.pss) ? 0 : sum.pss) + scanner.number();
    } else if (scanner.take('Private_Clean:')) sum.privateClean += scanner.number();
    else if (scanner.take('Private_Dirty:')) {
      sum.privateDirty += scanner.number();
      sum.mappings++;
    }
  } else if (first === S && scanner.take('Shared_Dirty:')) sum.sharedDirty += scanner.number();
}
