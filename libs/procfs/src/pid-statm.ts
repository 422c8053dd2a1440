import { ByteScanner } from './byte-scanner.js';
import { malformed } from './errors.js';
import type { KernelUnits } from './kernel-units.js';
import { ROW, wireCount, type ProcessRow } from './process-row.js';

/** `/proc/[pid]/statm`, bytes (the file counts pages). All 0 for a kernel thread and a zombie. */
export interface PidStatm {
  /** Column 1: address space, as `VmSize`. */
  vms: number;
  /** Column 2: resident, as `VmRSS`. */
  rss: number;
  /** Column 3: of it file pages and shared memory, as `RssFile` + `RssShmem`. */
  shared: number;
  /** Column 4: the executable's code, as `VmExe`. */
  text: number;
  /** Column 5: 0 since 2.6; `VmLib` of status has it. */
  lib: number;
  /** Column 6: private writable mappings and stack, as `VmData` + `VmStk`. */
  data: number;
  /** Column 7: 0 since 2.6; smaps has it. */
  dirty: number;
}

const scanner = new ByteScanner();

export function parsePidStatm(bytes: Uint8Array, length: number, units: KernelUnits): PidStatm {
  scanner.reset(bytes, length);
  const column = (): number => scanner.number() * units.pageSize;
  const vms = column();
  const rss = column();
  const shared = column();
  const text = column();
  const lib = column();
  const data = column();
  const dirty = column();
  if (Number.isNaN(vms + rss + shared + text + lib + data + dirty)) {
    malformed('statm', 'seven numbers', bytes, 0, length);
  }
  return { vms, rss, shared, text, lib, data, dirty };
}

/**
 * `/proc/[pid]/statm` into `vms`, `rss`, `shared`, `text`, `data` and `rssAnon` of a row: for kernels before 4.5, whose
 * status does not tell file pages from anonymous ones. There (and since 2.6) resident pages are anonymous ones and the
 * `shared` ones, so the difference is what `RssAnon` would say. False, and nothing written, when it is no statm block.
 */
export function fillFromStatm(
  bytes: Uint8Array,
  length: number,
  units: KernelUnits,
  row: ProcessRow,
  offset: number,
): boolean {
  scanner.reset(bytes, length);
  const vms = scanner.number();
  const rss = scanner.number();
  const shared = scanner.number();
  const text = scanner.number();
  scanner.skipWord();
  const data = scanner.number();
  if (Number.isNaN(vms + rss + shared + text + data)) return false;
  row[offset + ROW.vms] = wireCount(vms * units.pageSize);
  row[offset + ROW.rss] = wireCount(rss * units.pageSize);
  row[offset + ROW.shared] = wireCount(shared * units.pageSize);
  row[offset + ROW.text] = wireCount(text * units.pageSize);
  row[offset + ROW.data] = wireCount(data * units.pageSize);
  row[offset + ROW.rssAnon] = wireCount((rss - shared) * units.pageSize);
  return true;
}
