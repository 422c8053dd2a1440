import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { StackFrame } from '@tidemark/contracts';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RawFrame, TracedModule } from '../trace-source.js';
import { openElf } from './elf.js';
import { available, compile, lineOf, present, run, temporaryDirectory } from './programs.oracle.js';
import { createSymbolizer, type Symbolizer, type SymbolizerOptions } from './symbolizer.js';

const directory = temporaryDirectory();
const compilers = ['gcc', 'g++', 'objcopy', 'objdump', 'nm', 'addr2line'].every((command) => available(command));
const llvm = ['llvm-symbolizer', 'llvm-symbolizer-14', 'llvm-symbolizer-19'].find((command) => present(command));

/** Each marked line has one call of `take`, into which two functions are inlined. */
const cSource = `
#include <stdlib.h>
__attribute__((noipa)) void *take(unsigned long n) { void *p = malloc(n); __asm__ volatile("" : "+r"(p)); return p; }
static inline __attribute__((always_inline)) void *inner(unsigned long n) {
  void *p = take(n); /* INNER */
  __asm__ volatile("" : "+r"(p)); return p;
}
static inline __attribute__((always_inline)) void *middle(unsigned long n) {
  void *p = inner(n + 1); /* MIDDLE */
  return p;
}
__attribute__((noipa)) void *outer(unsigned long n) {
  void *p = middle(n * 2); /* OUTER */
  __asm__ volatile("" : "+r"(p)); return p;
}
static __attribute__((noipa)) void *hidden(unsigned long n) {
  void *p = take(n * 3); /* HIDDEN */
  __asm__ volatile("" : "+r"(p)); return p;
}
__attribute__((noipa)) void *after(unsigned long n) { void *p = hidden(n); __asm__ volatile("" : "+r"(p)); return p; }
`;
const mainSource = `${cSource}
int main(int argc, char **argv) { (void)argv; return outer(argc) == after(argc); }
`;
const cppSource = `
#include <string>
#include <vector>
__attribute__((noipa)) void *take(unsigned long n) { void *p = operator new(n); __asm__ volatile("" : "+r"(p)); return p; }
namespace shop { template <typename T> struct Shelf {
  __attribute__((noipa)) void *fill(const std::vector<T> &, int n) {
    void *p = take(n); // FILL
    __asm__ volatile("" : "+r"(p)); return p;
  } }; }
int main(int argc, char **) { shop::Shelf<std::string> s; return s.fill({}, argc) == nullptr; }
`;

interface Programs {
  pie: string;
  fixed: string;
  library: string;
  compressed: string;
  cpp: string;
}
let programs: Programs;
const opened: Symbolizer[] = [];

beforeAll(() => {
  if (!compilers) return;
  programs = {
    pie: compile(directory, 'pie', mainSource, ['-g', '-O2', '-Wl,--build-id']),
    fixed: compile(directory, 'fixed', mainSource, ['-g', '-O2', '-no-pie', '-Wl,--build-id=none']),
    library: compile(directory, 'libtake.so', cSource, ['-g', '-O2', '-shared', '-fPIC', '-Wl,--build-id']),
    compressed: compile(directory, 'compressed', mainSource, ['-g', '-O2', '-gz=zlib', '-Wl,--build-id']),
    cpp: compile(directory, 'cpp', cppSource, ['-g', '-O2', '-Wl,--build-id'], 'g++'),
  };
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function open(options: SymbolizerOptions = {}): Symbolizer {
  const symbolizer = createSymbolizer({ debugRoots: [join(directory, 'debug-root')], ...options });
  opened.push(symbolizer);
  return symbolizer;
}

async function moduleOf(file: string): Promise<TracedModule> {
  const elf = await openElf(file);
  await elf.close();
  return { path: file, file, buildId: elf.buildId, start: 0x400000, end: 0x500000, bias: 0 };
}

/** Return address of the only call of `callee` in a function, as objdump disassembles it. */
function returnIn(program: string, caller: string, callee: string): number {
  const text = run('objdump', ['-d', '--no-show-raw-insn', program]);
  const body = text.split('\n\n').find((part) => part.includes(` <${caller}>:\n`))!;
  const lines = body.split('\n');
  const calls = lines.flatMap((line, index) =>
    new RegExp(`(?:call|bl)\\s.*<${callee}(?:@plt)?>`).test(line) ? [index] : [],
  );
  expect(calls).toHaveLength(1);
  return parseInt(lines[calls[0]! + 1]!, 16);
}

function short(frames: readonly StackFrame[]): [string | null, string | null, number | null, boolean][] {
  return frames.map((one) => [one.function, one.file?.replace(/^.*\//, '') ?? null, one.line, one.inlined]);
}

function wantedInOuter(name: string): [string, string, number, boolean][] {
  return [
    ['inner', `${name}.c`, lineOf(cSource, 'INNER'), true],
    ['middle', `${name}.c`, lineOf(cSource, 'MIDDLE'), true],
    ['outer', `${name}.c`, lineOf(cSource, 'OUTER'), false],
  ];
}

const tools: [string, string[]][] = [
  ['addr2line', ['addr2line']],
  ...(llvm ? ([['llvm-symbolizer', [llvm]]] as [string, string[]][]) : []),
];

describe.skipIf(!compilers)('with a tool', () => {
  it.each(tools)('%s names functions, inlined ones and lines of programs and libraries', async (_, commands) => {
    const symbolizer = open({ tools: commands });
    for (const name of ['pie', 'fixed', 'library', 'compressed'] as const) {
      const file = programs[name];
      const module = await moduleOf(file);
      const addresses = [returnIn(file, 'outer', 'take'), returnIn(file, 'hidden', 'take')];
      const answers = await symbolizer.symbolize(addresses.map((address) => ({ module, address })));
      const source = name === 'library' ? 'libtake.so' : name;
      expect(short(answers[0]!)).toEqual(wantedInOuter(source));
      expect(short(answers[1]!)).toEqual([['hidden', `${source}.c`, lineOf(cSource, 'HIDDEN'), false]]);
      for (const [index, frames] of answers.entries()) {
        for (const frame of frames) {
          expect(frame).toMatchObject({ module: file, buildId: module.buildId, offset: addresses[index] });
        }
      }
    }
    expect(symbolizer.problems()).toEqual([]);
  });

  it.each([...tools, ['none', []] as [string, string[]]])('%s: C++ names are read', async (name, commands) => {
    const mangled = run('nm', [programs.cpp])
      .split('\n')
      .flatMap((line) => /\S*4fill\S*$/.exec(line) ?? [])[0]!;
    const address = returnIn(programs.cpp, mangled, '_Z4takem');
    const [frames] = await open({ tools: commands }).symbolize([{ module: await moduleOf(programs.cpp), address }]);
    const last = frames!.at(-1)!;
    expect(last.function).toMatch(/^shop::Shelf<std::.*string.*>::fill\(std::vector<.*> const&, int\)$/);
    expect(last.line).toBe(name === 'none' ? null : lineOf(cppSource, 'FILL'));
  });

  it.each(tools)('%s agrees with addr2line over every instruction of main and outer', async (_, commands) => {
    const text = run('objdump', ['-d', '--no-show-raw-insn', programs.pie]);
    const addresses = [...text.matchAll(/^ +([0-9a-f]+):\t/gm)].map((match) => parseInt(match[1]!, 16));
    const module = await moduleOf(programs.pie);
    const elf = await openElf(programs.pie);
    const functions = await elf.functions();
    const own: number[] = [];
    for (const address of addresses) {
      const found = await functions.nearest(address);
      if (found?.inside && ['main', 'outer', 'after', 'take'].includes(found.name)) own.push(address);
    }
    await elf.close();
    expect(own.length).toBeGreaterThan(20);
    const answers = await open({ tools: commands }).symbolize(own.map((address) => ({ module, address: address + 1 })));
    for (const [index, address] of own.entries()) {
      const said = run('addr2line', ['-f', '-i', '-C', '-e', programs.pie, `0x${address.toString(16)}`])
        .trim()
        .split('\n');
      expect(answers[index]!.map((frame) => frame.function)).toEqual(said.filter((_line, at) => at % 2 === 0));
    }
  });

  it('is asked once for identical frames, also by those who come later and at the same time', async () => {
    const log = join(directory, 'asked');
    const command = join(directory, 'addr2line-counting');
    writeFileSync(command, `#!/bin/sh\n[ "$1" = --version ] && exit 0\ntee -a ${log} | exec addr2line "$@"\n`);
    chmodSync(command, 0o755);
    const symbolizer = open({ tools: [command] });
    const module = await moduleOf(programs.pie);
    const frame: RawFrame = { module, address: returnIn(programs.pie, 'outer', 'take') };
    const all = await Promise.all([symbolizer.symbolize([frame, frame]), symbolizer.symbolize([{ ...frame }])]);
    all.push(await symbolizer.symbolize([{ module: { ...module }, address: frame.address }]));
    for (const frames of all.flat()) expect(short(frames)).toEqual(wantedInOuter('pie'));
    const asked = run('cat', [log])
      .split('\n')
      .filter((line) => line === `0x${(frame.address - 1).toString(16)}`);
    expect(asked).toHaveLength(1);
  });
});

describe.skipIf(!compilers)('separate debug files', () => {
  async function stripped(name: string, place: (debug: string, program: string) => string): Promise<RawFrame> {
    const program = join(directory, name, 'program');
    const debug = join(directory, `${name}.debug`);
    mkdirSync(join(directory, name), { recursive: true });
    run('objcopy', ['--only-keep-debug', programs.pie, debug]);
    run('objcopy', ['--strip-all', programs.pie, program]);
    run('objcopy', [`--add-gnu-debuglink=${debug}`, program]);
    const target = place(debug, program);
    mkdirSync(join(target, '..'), { recursive: true });
    renameSync(debug, target);
    return { module: await moduleOf(program), address: returnIn(programs.pie, 'outer', 'take') };
  }
  const places: [string, (debug: string, program: string, buildId: string) => string][] = [
    ['beside', (debug, program) => join(program, '..', debug.replace(/^.*\//, ''))],
    ['dot', (debug, program) => join(program, '..', '.debug', debug.replace(/^.*\//, ''))],
    ['root', (debug, program) => join(directory, 'debug-root', program, '..', debug.replace(/^.*\//, ''))],
    ['identified', (_d, _p, id) => join(directory, 'debug-root', '.build-id', id.slice(0, 2), `${id.slice(2)}.debug`)],
  ];

  it.each(places)('are found %s', async (name, place) => {
    const { buildId } = await moduleOf(programs.pie);
    const frame = await stripped(name, (debug, program) => place(debug, program, buildId!));
    for (const [, commands] of tools) {
      const [frames] = await open({ tools: commands }).symbolize([frame]);
      expect(short(frames!)).toEqual(wantedInOuter('pie'));
    }
    const [frames] = await open({ tools: [] }).symbolize([frame]);
    expect(short(frames!)).toEqual([['outer', null, null, false]]);
    rmSync(join(directory, 'debug-root'), { recursive: true, force: true });
  });

  it('of another build are not believed', async () => {
    const frame = await stripped('other', (debug, program) => join(program, '..', debug.replace(/^.*\//, '')));
    run('objcopy', ['--only-keep-debug', programs.compressed, join(directory, 'other', 'other.debug')]);
    const [frames] = await open().symbolize([frame]);
    expect(short(frames!)).toEqual([[null, null, null, false]]);
  });

  it('without build ids are believed by their checksum', async () => {
    const folder = join(directory, 'summed');
    mkdirSync(folder);
    const [program, debug] = [join(folder, 'program'), join(folder, 'program.debug')];
    run('objcopy', ['--only-keep-debug', programs.fixed, debug]);
    run('objcopy', ['--strip-all', programs.fixed, program]);
    run('objcopy', [`--add-gnu-debuglink=${debug}`, program]);
    const frame = { module: await moduleOf(program), address: returnIn(programs.fixed, 'outer', 'take') };
    expect(short((await open().symbolize([frame]))[0]!)).toEqual(wantedInOuter('fixed'));
    writeFileSync(debug, 'x', { flag: 'a' });
    expect(short((await open().symbolize([frame]))[0]!)).toEqual([[null, null, null, false]]);
  });
});

describe.skipIf(!compilers)('without a tool', () => {
  it('the symbol table names functions, hidden ones too', async () => {
    const symbolizer = open({ tools: [] });
    const module = await moduleOf(programs.pie);
    const frames = ['outer', 'hidden'].map((name) => ({ module, address: returnIn(programs.pie, name, 'take') }));
    const answers = await symbolizer.symbolize(frames);
    expect(answers.map(short)).toEqual([[['outer', null, null, false]], [['hidden', null, null, false]]]);
    expect(symbolizer.problems()).toEqual([expect.stringContaining('llvm-symbolizer')]);
  });

  it.skipIf(process.arch !== 'x64')('code written by hand goes by its label, though that has no type', async () => {
    const code = '__asm__(".text\\n.globl by_hand\\nby_hand:\\n push %rbx\\n call take\\n pop %rbx\\n ret\\n");';
    const file = compile(directory, 'by-hand', `${mainSource}\n${code}\n`, ['-O2']);
    const frame = { module: await moduleOf(file), address: returnIn(file, 'by_hand', 'take') };
    for (const commands of [[], ...tools.map(([, one]) => one)]) {
      expect(short((await open({ tools: commands }).symbolize([frame]))[0]!)).toEqual([['by_hand', null, null, false]]);
    }
  });

  it('a stripped library names what it exports, and says how far behind it other code is', async () => {
    const file = join(directory, 'libstripped.so');
    run('objcopy', ['--strip-all', programs.library, file]);
    const module = await moduleOf(file);
    const hidden = returnIn(programs.library, 'hidden', 'take');
    for (const commands of [[], ...tools.map(([, one]) => one)]) {
      const answers = await open({ tools: commands }).symbolize([
        { module, address: returnIn(programs.library, 'outer', 'take') },
        { module, address: hidden },
      ]);
      expect(short(answers[0]!)).toEqual([['outer', null, null, false]]);
      const start = parseInt(new RegExp('^([0-9a-f]+) . hidden$', 'm').exec(run('nm', [programs.library]))![1]!, 16);
      const before = run('nm', ['-D', '--defined-only', file])
        .split('\n')
        .map((line) => ({ address: parseInt(line, 16), name: line.slice(19) }))
        .filter(({ address }) => address < start)
        .sort((a, b) => b.address - a.address)[0]!;
      expect(answers[1]![0]!.function).toBe(`${before.name}+0x${(start - before.address).toString(16)}`);
    }
  });
});

describe.skipIf(!compilers)('what cannot be named', () => {
  it('keeps its module and offset: generated code, the kernel’s page, files that are gone', async () => {
    const symbolizer = open();
    const base = { buildId: null, start: 0, end: 4096, bias: 0 };
    const answers = await symbolizer.symbolize([
      { module: null, address: 0x7f0000001234 },
      { module: { ...base, path: '[vdso]', file: null }, address: 0x950 },
      { module: { ...base, path: '/gone/program', file: join(directory, 'no-such-file') }, address: 0x1234 },
    ]);
    const nameless = { function: null, file: null, line: null, buildId: null, inlined: false };
    expect(answers).toEqual([
      [{ ...nameless, module: null, offset: 0x7f0000001234 }],
      [{ ...nameless, module: '[vdso]', offset: 0x950 }],
      [{ ...nameless, module: '/gone/program', offset: 0x1234 }],
    ]);
    expect(symbolizer.problems()).toEqual([expect.stringContaining('/gone/program')]);
  });

  it('is not named by a file that came in the place of the one mapped', async () => {
    const file = join(directory, 'replaced');
    copyFileSync(programs.pie, file);
    const module = await moduleOf(file);
    const address = returnIn(programs.pie, 'outer', 'take');
    rmSync(file);
    copyFileSync(programs.compressed, file);
    const symbolizer = open();
    const [frames] = await symbolizer.symbolize([{ module, address }]);
    expect(frames).toEqual([
      expect.objectContaining({ function: null, file: null, module: file, buildId: module.buildId }),
    ]);
    expect(symbolizer.problems()).toEqual([expect.stringMatching(/replaced: the file is not the one that runs/)]);
    // The same path, now with what is mapped: nothing of the other file is remembered.
    const current = await moduleOf(file);
    const [again] = await symbolizer.symbolize([{ module: current, address: returnIn(file, 'hidden', 'take') }]);
    expect(short(again!)).toEqual([['hidden', 'compressed.c', lineOf(cSource, 'HIDDEN'), false]]);
    copyFileSync(programs.pie, file);
    const [last] = await symbolizer.symbolize([{ module, address }]);
    expect(short(last!)).toEqual(wantedInOuter('pie'));
  });

  it('is not named by a file that claims the build id of another', async () => {
    const forged = join(directory, 'forged');
    run('objcopy', ['--strip-debug', '--redefine-sym', 'outer=forged', programs.pie, forged]);
    if (process.getuid!() === 0) chownSync(forged, 12_345, 12_345);
    const symbolizer = open();
    const address = returnIn(programs.pie, 'outer', 'take');
    const [first] = await symbolizer.symbolize([{ module: await moduleOf(forged), address }]);
    expect(short(first!)).toEqual([['forged', null, null, false]]);
    const [second] = await symbolizer.symbolize([{ module: await moduleOf(programs.pie), address }]);
    expect(short(second!)).toEqual(wantedInOuter('pie'));
  });

  it('was named before: the file may be gone by then', async () => {
    const file = join(directory, 'short-lived');
    copyFileSync(programs.pie, file);
    const symbolizer = open();
    const frame = { module: await moduleOf(file), address: returnIn(programs.pie, 'outer', 'take') };
    const [before] = await symbolizer.symbolize([frame]);
    rmSync(file);
    expect(await symbolizer.symbolize([frame])).toEqual([before]);
    expect(short(before!)).toEqual(wantedInOuter('pie'));
  });
});

describe.skipIf(!compilers)('a tool that misbehaves', () => {
  const bad: [string, string][] = [
    ['hangs', 'exec sleep 1000'],
    ['dies', 'read line; exit 3'],
    ['kills itself', 'read line; kill -9 $$'],
    ['says nonsense for ever', 'exec yes nonsense'],
    ['says one endless line', 'exec tr "\\0" x < /dev/zero'],
    ['answers less than was asked', 'read line; echo "$line"; echo wrong; echo wrong.c:1:1; exec sleep 1000'],
    ['takes more memory than it may', 'exec python3 -c "x = bytearray(3 << 30); input()"'],
  ];
  it.each(bad)('and %s: the symbol table is taken instead', async (name, script) => {
    for (const kind of ['addr2line', 'llvm-symbolizer']) {
      const command = join(directory, `${name.replaceAll(' ', '-')}-${kind}`);
      writeFileSync(command, `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${script}\n`);
      chmodSync(command, 0o755);
      const symbolizer = open({ tools: [command], toolTimeout: 1500 });
      const module = await moduleOf(programs.pie);
      const answers = await symbolizer.symbolize([
        { module, address: returnIn(programs.pie, 'outer', 'take') },
        { module, address: returnIn(programs.pie, 'hidden', 'take') },
      ]);
      expect(answers.map(short)).toEqual([[['outer', null, null, false]], [['hidden', null, null, false]]]);
      expect(symbolizer.problems()).toEqual([expect.stringContaining('its functions are named by the symbol table')]);
    }
  });

  it('is gone when it is closed, and nothing is asked any more', async () => {
    const symbolizer = open({ tools: ['addr2line'] });
    const frame = { module: await moduleOf(programs.pie), address: returnIn(programs.pie, 'outer', 'take') };
    await symbolizer.symbolize([frame]);
    const children = (): string[] =>
      run('ps', ['--ppid', String(process.pid), '-o', 'comm='])
        .split('\n')
        .filter((one) => one.includes('addr2line'));
    expect(children()).toHaveLength(1);
    await symbolizer.close();
    await expect.poll(children, { timeout: 10_000 }).toEqual([]);
    await expect(symbolizer.symbolize([frame])).rejects.toThrow('closed');
  });
});

describe.skipIf(!compilers)('damaged programs', () => {
  it('get answers for their frames whatever the tools make of them', { timeout: 240_000 }, async () => {
    // Without build ids, by which names would be remembered.
    const whole = ['-gz=none', '-gz=zlib'].map((flag) =>
      readFileSync(compile(directory, `sound${flag}`, mainSource, ['-g', '-O2', flag, '-Wl,--build-id=none'])),
    );
    const address = returnIn(programs.pie, 'outer', 'take');
    const symbolizers = [[], ...tools.map(([, commands]) => commands)].map((commands) =>
      open({ tools: commands, toolTimeout: 5000 }),
    );
    const changes = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), { maxLength: 30 });
    for (const [round, change] of fc.sample(changes, { numRuns: 60, seed: 11 }).entries()) {
      const bytes = Buffer.from(whole[round % 2]!);
      // Headers stay, so that the tools go further than the first check.
      for (const [at, value] of change) bytes[512 + Math.floor(at * (bytes.length - 513))] = value;
      const file = join(directory, `damaged-${round % 7}`);
      writeFileSync(file, round % 5 === 0 ? bytes.subarray(0, 512 + round * 200) : bytes);
      const module = { path: file, file, buildId: null, start: 0, end: 1, bias: 0 };
      const frames = [address, 0, 1, 0x1080, 2 ** 47].map((one) => ({ module, address: one }));
      for (const symbolizer of symbolizers) {
        const answers = await symbolizer.symbolize(frames);
        expect(answers.map((one) => one.at(-1))).toEqual(
          frames.map((frame) => expect.objectContaining({ module: file, offset: frame.address, inlined: false })),
        );
      }
    }
    // Nothing of it sticks: a sound program is named as ever.
    const sound = { module: await moduleOf(programs.pie), address };
    for (const symbolizer of symbolizers.slice(1)) {
      expect(short((await symbolizer.symbolize([sound]))[0]!)).toEqual(wantedInOuter('pie'));
    }
  });
});

describe.skipIf(!compilers)('bounds', () => {
  it('hold for files of gigabytes: only parts are read', async () => {
    const file = join(directory, 'huge');
    copyFileSync(programs.pie, file);
    truncateSync(file, 8 * 2 ** 30);
    const frame = { module: await moduleOf(file), address: returnIn(programs.pie, 'outer', 'take') };
    const before = process.memoryUsage();
    for (const [, commands] of tools) {
      expect(short((await open({ tools: commands }).symbolize([frame]))[0]!)).toEqual(wantedInOuter('pie'));
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * 2 ** 20);
  });

  it('of life: a tool that waits keeps no process alive', async () => {
    const waiting = (): string[] => process.getActiveResourcesInfo().filter((one) => /^(Process|Pipe)Wrap$/.test(one));
    const before = waiting();
    const frame = { module: await moduleOf(programs.pie), address: returnIn(programs.pie, 'outer', 'take') };
    await open({ tools: ['addr2line'] }).symbolize([frame]);
    expect(waiting()).toEqual(before);
  });

  it('hold with more modules and addresses than are kept', async () => {
    const symbolizer = open({ maxImages: 2, maxNames: 5 });
    const modules = await Promise.all(
      Object.values(programs as unknown as Record<string, string>).map((file) => moduleOf(file)),
    );
    const frames = modules.flatMap((module) => Array.from({ length: 40 }, (_, i) => ({ module, address: 0x1100 + i })));
    const first = await symbolizer.symbolize(frames);
    expect(first).toHaveLength(frames.length);
    expect(await symbolizer.symbolize(frames)).toEqual(first);
  });
});
