import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memorySource } from './byte-source.js';
import { ElfError } from './elf-error.js';
import { PT_DYNAMIC, PT_LOAD } from './elf-layout.js';
import { openElf, readElf, type ElfFile } from './elf.js';
import { available, compile, run, temporaryDirectory } from './programs.oracle.js';

const directory = temporaryDirectory();
const tools = ['gcc', 'readelf', 'nm', 'objcopy'].every((command) => available(command));

const source = `
#include <stdio.h>
static __attribute__((noinline)) int hidden(int x) { return x * 3 + 1; }
__attribute__((noinline)) int shown(int x) { return hidden(x) + 2; }
int main(int argc, char **argv) { (void)argv; printf("%d\\n", shown(argc)); return 0; }
`;

interface Programs {
  pie: string;
  fixed: string;
  shared: string;
  closed: string;
  stripped: string;
  debug: string;
  compressed: string;
}
let programs: Programs;

beforeAll(() => {
  if (!tools) return;
  const pie = compile(directory, 'pie', source, ['-g', '-O1', '-Wl,--build-id=sha1']);
  const stripped = join(directory, 'stripped');
  const debug = join(directory, 'pie.debug');
  run('objcopy', ['--only-keep-debug', pie, debug]);
  run('objcopy', ['--strip-all', pie, stripped]);
  run('objcopy', [`--add-gnu-debuglink=${debug}`, stripped]);
  programs = {
    pie,
    stripped,
    debug,
    fixed: compile(directory, 'fixed', source, ['-no-pie', '-O1', '-Wl,--build-id=none']),
    shared: compile(directory, 'libshared.so', source, ['-shared', '-fPIC', '-O1']),
    closed: compile(directory, 'closed', source, ['-static', '-O1']),
    compressed: compile(directory, 'compressed', source, ['-g', '-gz=zlib', '-O1']),
  };
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function withElf<T>(path: string, use: (elf: ElfFile) => Promise<T>): Promise<T> {
  const elf = await openElf(path);
  try {
    return await use(elf);
  } finally {
    await elf.close();
  }
}

describe.skipIf(!tools)('what a program file says', () => {
  it('has the build ids that readelf reads, and none where the linker wrote none', async () => {
    for (const path of [programs.pie, programs.stripped, programs.debug, programs.shared, programs.fixed]) {
      const said = /Build ID: ([0-9a-f]+)/.exec(run('readelf', ['-n', path]))?.[1] ?? null;
      expect(await withElf(path, async (elf) => elf.buildId)).toBe(said);
      expect(said === null).toBe(path === programs.fixed);
    }
  });

  it('names the interpreter of dynamic programs alone', async () => {
    const interpreters = await Promise.all(
      [programs.pie, programs.fixed, programs.shared, programs.closed].map((path) =>
        withElf(path, async ({ interpreter, type }) => [interpreter?.includes('ld-') ?? null, type]),
      ),
    );
    expect(interpreters).toEqual([
      [true, 'DYN'],
      [true, 'EXEC'],
      [null, 'DYN'],
      [null, 'EXEC'],
    ]);
    expect(await withElf(programs.closed, async ({ segments }) => segments.some((s) => s.type === PT_DYNAMIC))).toBe(
      false,
    );
  });

  it('has the segments and sections that readelf lists', async () => {
    for (const path of Object.values(programs) as string[]) {
      const loads = [...run('readelf', ['-lW', path]).matchAll(/^ +LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x(\w+)/gm)].map(
        (match) => match.slice(1, 5).map((hex) => parseInt(hex, 16)),
      );
      const sections = [
        ...run('readelf', ['-SW', path]).matchAll(/^ +\[ *\d+\] (\S+) +[A-Z_]+ +(\w+) (\w+) (\w+)/gm),
      ].map((match) => [match[1], ...match.slice(2, 5).map((hex) => parseInt(hex, 16))]);
      await withElf(path, async (elf) => {
        const own = elf.segments.filter(({ type }) => type === PT_LOAD);
        expect(own.map((one) => [one.offset, one.address, one.fileSize, one.memorySize])).toEqual(loads);
        const named = elf.sections.slice(1).map((one) => [one.name, one.address, one.offset, one.size]);
        expect(named).toEqual(sections);
        expect(sections.length).toBeGreaterThan(5);
      });
    }
  });

  it('turns addresses into offsets of the file and back', async () => {
    for (const path of [programs.pie, programs.fixed, programs.shared]) {
      await withElf(path, async (elf) => {
        const text = elf.sections.find(({ name }) => name === '.text')!;
        expect(elf.offsetOf(text.address)).toBe(text.offset);
        expect(elf.addressOf(text.offset + 7)).toBe(text.address + 7);
        expect(elf.offsetOf(2 ** 47)).toBeNull();
        const zeroed = elf.sections.find(({ name }) => name === '.bss')!;
        expect(elf.offsetOf(zeroed.address + zeroed.size + 4096)).toBeNull();
      });
    }
  });

  it('names the separate debug file with the checksum of its content', async () => {
    const link = await withElf(programs.stripped, async ({ debugLink }) => debugLink);
    expect(link?.file).toBe('pie.debug');
    const crc = run('python3', [
      '-c',
      `import zlib; print(zlib.crc32(open(${JSON.stringify(programs.debug)}, 'rb').read()))`,
    ]);
    expect(link?.crc).toBe(Number(crc));
    expect(await withElf(programs.pie, async ({ debugLink }) => debugLink)).toBeNull();
  });

  it('reads a compressed section as objcopy decompresses it', async () => {
    const plain = join(directory, 'plain');
    run('objcopy', ['--decompress-debug-sections', programs.compressed, plain]);
    for (const name of ['.debug_info', '.debug_str']) {
      const wanted = await withElf(plain, (elf) => elf.section(name));
      expect(await withElf(programs.compressed, (elf) => elf.section(name))).toEqual(wanted);
      expect(wanted!.length).toBeGreaterThan(100);
    }
    await expect(withElf(programs.compressed, (elf) => elf.section('.debug_info', 64))).rejects.toMatchObject({
      code: 'ELF_TOO_LARGE',
    });
    expect(await withElf(programs.pie, (elf) => elf.section('.bss'))).toBeNull();
    expect(await withElf(programs.pie, (elf) => elf.section('.nowhere'))).toBeNull();
  });
});

describe.skipIf(!tools)('functions', () => {
  /** Address, size and name of functions as nm sees them. */
  function listed(path: string, dynamic: boolean): { address: number; size: number; name: string }[] {
    const text = run('nm', ['-S', '--defined-only', '--without-symbol-versions', ...(dynamic ? ['-D'] : []), path]);
    return [...text.matchAll(/^(\w+) (\w+) [TtWi] (\S+)$/gm)].map((match) => ({
      address: parseInt(match[1]!, 16),
      size: parseInt(match[2]!, 16),
      name: match[3]!,
    }));
  }

  it('lie where nm says, at their first and last byte', async () => {
    for (const path of [programs.pie, programs.fixed, programs.closed, programs.shared]) {
      const wanted = listed(path, false).filter(({ size }) => size > 0);
      expect(wanted.length).toBeGreaterThan(2);
      const names = new Map<number, Set<string>>();
      for (const one of wanted) names.set(one.address, (names.get(one.address) ?? new Set()).add(one.name));
      await withElf(path, async (elf) => {
        const functions = await elf.functions();
        for (const { address, size } of wanted.slice(0, 500)) {
          for (const at of [address, address + size - 1]) {
            const found = await functions.nearest(at);
            expect(found).toMatchObject({ inside: true });
            expect(at).toBeGreaterThanOrEqual(found!.address);
            expect(names.get(found!.address)).toContain(found!.name);
          }
        }
      });
    }
  });

  it('of the C library are found by name as nm lists them', async () => {
    const library = /=> (\/\S*libc\.so\.6)/.exec(run('ldd', [programs.pie]))![1]!;
    const wanted = listed(library, true);
    await withElf(library, async (elf) => {
      const functions = await elf.functions();
      for (const name of ['malloc', 'free', 'calloc', 'realloc', 'posix_memalign', 'mmap']) {
        const own = (await functions.named(name)).map(({ address }) => address);
        expect(own).toEqual([...new Set(wanted.filter((one) => one.name === name).map(({ address }) => address))]);
        expect(own.length).toBe(1);
      }
      expect(await functions.named('no_such_function_anywhere')).toEqual([]);
      expect(await functions.named('')).toEqual([]);
    });
  });

  it('of a stripped library are the exported ones, and what lies behind one is not inside', async () => {
    const stripped = join(directory, 'libstripped.so');
    run('objcopy', ['--strip-all', programs.shared, stripped]);
    const all = listed(programs.shared, false);
    const hidden = all.find(({ name }) => name === 'hidden')!;
    const exported = listed(stripped, true);
    await withElf(stripped, async (elf) => {
      const functions = await elf.functions();
      expect(functions.count).toBe(exported.length);
      const nearest = await functions.nearest(hidden.address);
      expect(nearest === null || !nearest.inside).toBe(true);
      const last = exported.reduce((a, b) => (a.address > b.address ? a : b));
      expect(await functions.nearest(last.address + last.size + 100)).toEqual({ ...last, inside: false });
      expect(await functions.nearest(0)).toBeNull();
    });
  });
});

describe('what is no program', () => {
  it('is refused with the reason: directories, pipes, devices, texts, other kinds', async () => {
    const text = join(directory, 'text');
    writeFileSync(text, 'not a program, but long enough to have a header of sixty-four bytes, surely');
    const folder = join(directory, 'folder');
    mkdirSync(folder);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(openElf(text)).rejects.toMatchObject({ code: 'ELF_FORMAT' });
    for (const path of [folder, pipe, '/dev/zero', join(directory, 'absent')]) {
      await expect(openElf(path)).rejects.toMatchObject({ code: 'ELF_UNREADABLE' });
    }
    const foreign = Buffer.alloc(64);
    foreign.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    foreign.writeUInt16LE(243, 18);
    await expect(readElf(memorySource(foreign))).rejects.toMatchObject({ code: 'ELF_UNSUPPORTED' });
    foreign[4] = 1;
    await expect(readElf(memorySource(foreign))).rejects.toMatchObject({ code: 'ELF_UNSUPPORTED' });
  });
});

describe.skipIf(!tools)('a damaged file', () => {
  /** Everything there is to ask. */
  async function askAll(bytes: Uint8Array): Promise<void> {
    const elf = await readElf(memorySource(bytes));
    for (const name of ['.debug_info', '.text', '.gnu_debuglink']) {
      await elf.section(name, 1024 * 1024).catch(expectCoded);
    }
    const functions = await elf.functions();
    for (const address of [0, elf.entry, 0x1139, 2 ** 52]) await functions.nearest(address).catch(expectCoded);
    await functions.named('shown');
    elf.offsetOf(elf.entry);
    elf.addressOf(64);
  }
  function expectCoded(error: unknown): void {
    expect(error).toBeInstanceOf(ElfError);
  }

  it('gives an answer or a coded error, whatever bytes change', { timeout: 240_000 }, async () => {
    const files = [programs.compressed, programs.stripped].map((path) => readFileSync(path));
    const headers = (bytes: Buffer): number[] => [
      0,
      Number(bytes.readBigUInt64LE(32)),
      Number(bytes.readBigUInt64LE(40)),
    ];
    const change = fc.record({
      area: fc.integer({ min: 0, max: 3 }),
      at: fc.nat(4096),
      value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff),
      width: fc.constantFrom(1, 2, 4, 8),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(files.length - 1),
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 5 }),
        async (which, changes, cut) => {
          const file = files[which]!;
          const bytes = Buffer.from(file);
          for (const { area, at, value, width } of changes) {
            const from = (area === 3 ? at * 31 : headers(file)[area]! + (area === 0 ? at % 64 : at)) % bytes.length;
            bytes.fill(value, from, Math.min(from + width, bytes.length));
          }
          await askAll(cut === null ? bytes : bytes.subarray(0, Math.floor(cut * bytes.length))).catch(expectCoded);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('cannot make a small file take much memory', async () => {
    const bytes = readFileSync(programs.compressed);
    const sections = Number(bytes.readBigUInt64LE(40));
    const debug = (await readElf(memorySource(bytes))).sections.findIndex(({ name }) => name === '.debug_info');
    const at = Number(bytes.readBigUInt64LE(sections + debug * 64 + 24));
    bytes.writeBigUInt64LE(2n ** 40n, at + 8);
    const elf = await readElf(memorySource(bytes));
    await expect(elf.section('.debug_info')).rejects.toMatchObject({ code: 'ELF_TOO_LARGE' });
    bytes.writeBigUInt64LE(200n * 1024n * 1024n, at + 8);
    await expect(elf.section('.debug_info')).rejects.toMatchObject({ code: 'ELF_DAMAGED' });
    bytes.writeUInt16LE(0, 60);
    bytes.writeBigUInt64LE(2n ** 30n, sections + 32);
    await expect(readElf(memorySource(bytes))).rejects.toMatchObject({ code: 'ELF_TOO_LARGE' });
  });
});
