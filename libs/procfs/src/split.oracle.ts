/**
 * A second way to read every kernel file: regular expressions and `split` over the text, as scripts do it. Slow, and
 * of no shared line with the parsers, so that one block read by both tells whether the fast one is right.
 */

/** `label: number unit` or `label number` lines. */
export function splitFigures(text: string): Record<string, number> {
  const lines = [...text.matchAll(/^([^\s:]+):?[ \t]+(\d+)(?: kB)?[ \t]*$/gm)];
  return Object.fromEntries(lines.map(([, label = '', number]) => [label, Number(number)]));
}

export interface SplitStat {
  pid: number;
  name: string;
  /** From the third field (the state) on. */
  rest: string[];
}

export function splitPidStat(text: string): SplitStat {
  const match = /^(\d+) \(([\s\S]*)\) ([^)]*)$/.exec(text);
  if (!match) throw new Error(`no stat: ${text}`);
  const [, pid, name = '', rest = ''] = match;
  return { pid: Number(pid), name, rest: rest.trim().split(/\s+/) };
}

/** Field `number` as proc(5) counts them. */
export function statField(stat: SplitStat, number: number): number {
  return Number(stat.rest[number - 3]);
}

export function splitNetDev(text: string): { name: string; figures: number[] }[] {
  return text
    .split('\n')
    .slice(2)
    .filter((line) => /:\s*\d/.test(line))
    .map((line) => {
      const [, name = '', figures = ''] = /^\s*(.*):\s*([\d\s]+)$/.exec(line) ?? [];
      return { name, figures: figures.trim().split(/\s+/).map(Number) };
    });
}

export function splitRows(text: string): string[][] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.trim().split(/\s+/));
}

export interface SplitMapping {
  range: string;
  permissions: string;
  offset: string;
  device: string;
  inode: string;
  path: string;
  figures: Record<string, number>;
  flags: string[];
}

export function splitSmaps(text: string): SplitMapping[] {
  const blocks = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter(Boolean);
  return blocks.map((block) => {
    const [header = ''] = block.split('\n');
    const [, range = '', permissions = '', offset = '', device = '', inode = '', path = ''] =
      /^(\S+) (\S+) (\S+) (\S+) (\S+) *(.*)$/.exec(header) ?? [];
    const [, flags = ''] = /^VmFlags: (.*)$/m.exec(block) ?? [];
    return {
      range,
      permissions,
      offset,
      device,
      inode,
      path,
      figures: splitFigures(block),
      flags: flags.trim().split(' '),
    };
  });
}

/** Sum of one figure over the mappings, bytes. */
export function sumKib(mappings: readonly SplitMapping[], label: string): number {
  return mappings.reduce((sum, { figures }) => sum + (figures[label] ?? 0) * 1024, 0);
}
