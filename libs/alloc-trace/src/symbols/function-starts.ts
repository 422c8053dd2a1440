import type { ElfFile } from './elf.js';

/** Larger tables are left alone, bytes. */
const MAX_TABLE = 64 * 1024 * 1024;

/**
 * Where functions begin by the table that unwinders search, which stripping leaves: .eh_frame_hdr (Linux Standard Base,
 * core, 10.6.2). Null for an address before the first function, and when the table is missing or of an unusual encoding.
 */
export async function functionStarts(elf: ElfFile): Promise<(address: number) => number | null> {
  const section = elf.sections.find(({ name }) => name === '.eh_frame_hdr');
  const table = section === undefined ? null : await elf.section(section.name, MAX_TABLE).catch(() => null);
  // Version 1; the count as 4 bytes; entries as pairs of 4 bytes, signed, relative to the section.
  const isUsual = table !== null && table.length >= 12 && table.readUInt32LE(0) === 0x3b03_1b01;
  if (section === undefined || !isUsual) return () => null;
  const count = Math.min(table.readUInt32LE(8), Math.floor((table.length - 12) / 8));
  const start = (index: number): number => section.address + table.readInt32LE(12 + index * 8);
  return (address) => {
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (start(middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : start(low - 1);
  };
}
