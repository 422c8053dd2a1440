/** A mapping of a process. Kernel: fs/proc/task_mmu.c, show_map_vma. */
export interface Mapping {
  start: number;
  end: number;
  readable: boolean;
  executable: boolean;
  /** Where in the file it begins, bytes. */
  offset: number;
  /** 0 without a file. */
  inode: number;
  /** As the process sees it; empty without a name. */
  path: string;
}

const LINE = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])[ps] ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+)\s*(.*)$/;

/** Lines that are none are left out, and so are those above 2^53 (vsyscall). */
export function parseMappings(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [start, end, offset] = [match[1]!, match[2]!, match[6]!].map((digits) => Number.parseInt(digits, 16));
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || end! <= start!) continue;
    mappings.push({
      start: start!,
      end: end!,
      readable: match[3] === 'r',
      executable: match[5] === 'x',
      offset: offset!,
      inode: Number(match[7]),
      // The kernel escapes newlines alone.
      path: match[8]!.replace(/\\012/g, '\n'),
    });
  }
  return mappings;
}

/** The mapping around an address. */
export function mappingAt(mappings: readonly Mapping[], address: number): Mapping | undefined {
  let low = 0;
  let high = mappings.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (mappings[middle]!.start <= address) low = middle + 1;
    else high = middle;
  }
  const found = mappings[low - 1];
  return found !== undefined && address < found.end ? found : undefined;
}
