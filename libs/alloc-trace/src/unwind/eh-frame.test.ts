import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openElf } from '../symbols/index.js';
import { evaluate } from './dwarf-expression.js';
import { parseEhFrame } from './eh-frame.js';
import { walkStack } from './walk-stack.js';

const tools = available();

function available(): boolean {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    execFileSync('readelf', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env['CI'] === 'true') throw new Error('gcc and readelf are needed by these tests: install them');
    return false;
  }
}

/** Rows of `readelf --debug-dump=frames-interp`: address, frame address rule, rule of the return address. */
function readelfRows(file: string): { address: number; rule: string }[] {
  // Its exit status is 1 for a libc that names a separate debug file, whatever it has shown.
  const { stdout: text } = spawnSync('readelf', ['--debug-dump=frames-interp', '-W', file], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const rows: { address: number; rule: string }[] = [];
  for (const match of text.matchAll(/^([0-9a-f]{16}) (rsp|rbp|r\d+|rbx|rax|rcx|rdx)\+(\d+)\s/gm)) {
    const address = Number.parseInt(match[1]!, 16);
    // A CIE's own row is shown at 0.
    if (address > 0) rows.push({ address, rule: `${match[2]}+${match[3]}` });
  }
  return rows;
}

const NAMES = [
  'rax',
  'rdx',
  'rcx',
  'rbx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];

describe.skipIf(!tools)('call frame information', { timeout: 120_000 }, () => {
  const libc = tools ? execFileSync('gcc', ['-print-file-name=libc.so.6'], { encoding: 'utf8' }).trim() : '';

  it('says at each place of libc what readelf says', async () => {
    const elf = await openElf(libc);
    const section = elf.sections.find(({ name }) => name === '.eh_frame')!;
    const table = parseEhFrame((await elf.section('.eh_frame'))!, section.address);
    const rows = readelfRows(libc);
    expect(rows.length).toBeGreaterThan(10_000);
    const wrong: string[] = [];
    for (const { address, rule } of rows) {
      const row = table.rowAt(address);
      const found = row === null || 'expression' in row.frameAddress ? 'none' : row.frameAddress;
      const own = found === 'none' ? found : `${NAMES[found.register]}+${found.offset}`;
      if (own !== rule) wrong.push(`${address.toString(16)}: ${own}, not ${rule}`);
    }
    expect(wrong).toEqual([]);
    await elf.close();
  });

  it('that is damaged gives an answer or none, and never throws', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-cfi-'));
    writeFileSync(join(directory, 'a.c'), 'int f(int); int g(int x) { return f(x) + f(x + 1); }\n');
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', join(directory, 'a.so'), join(directory, 'a.c')]);
    const elf = await openElf(join(directory, 'a.so'));
    const whole = (await elf.section('.eh_frame'))!;
    await elf.close();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        const table = parseEhFrame(bytes, 0x2000);
        for (let address = 0x1000; address < 0x1200; address += 7) table.rowAt(address);
        return table.count >= 0;
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => parseEhFrame(Buffer.from(bytes), 0).count >= 0),
    );
  });
});

describe('an expression', () => {
  it('of a procedure linkage table gives the frame address at both its places', () => {
    // rsp + 8 + ((((rip & 15) >= 11) << 3): what ld writes for .plt
    const plt = Buffer.from([0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22]);
    const at = (pc: number): number =>
      evaluate(plt, { register: (number) => (number === 7 ? 0x7000 : pc), word: () => undefined });
    expect(at(0x1006)).toBe(0x7008);
    expect(at(0x100b)).toBe(0x7010);
  });
});

describe('a walk', () => {
  it('ends whatever the stack holds', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0x4000), { maxLength: 64 }), fc.integer({ min: 1, max: 64 }), (words, most) => {
        const { addresses } = walkStack(
          {
            pc: 0x10,
            registers: new Map([
              [7, 0x1000],
              [6, 0x1000],
            ]),
            word: (address) => words[(address - 0x1000) / 8],
          },
          () => 'none',
          most,
        );
        return addresses.length >= 1 && addresses.length <= most;
      }),
    );
  });
});
