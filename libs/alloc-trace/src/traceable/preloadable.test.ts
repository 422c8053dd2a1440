import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram, whyNotPreloadable } from './preloadable.js';
import { readProgramFile } from './program-file.js';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-preloadable-'));
const noCompiler = spawnSync('cc', ['--version']).status !== 0 && process.env['CI'] !== 'true';
const source = join(folder, 'empty.c');

beforeAll(() => writeFileSync(source, 'int main(void) { return 0; }\n'));
afterAll(() => rmSync(folder, { recursive: true }));

function compile(name: string, ...flags: string[]): string {
  const path = join(folder, name);
  execFileSync('cc', [...flags, '-o', path, source]);
  return path;
}

function file(name: string, content: string | Buffer, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe('a program of this machine', () => {
  it('is found in PATH, and takes the library when it is linked dynamically', () => {
    expect(whyNotPreloadable('sleep', { path: '/nowhere:/usr/bin:/bin' })).toBeNull();
    expect(whyNotPreloadable(process.execPath)).toBeNull();
  });

  it('is found from the directory that it will be started in', () => {
    mkdirSync(join(folder, 'bin'));
    copyFileSync('/bin/sleep', join(folder, 'bin/nap'));
    expect(findProgram('./bin/nap', { directory: folder })).toBe(join(folder, 'bin/nap'));
    expect(findProgram('nap', { path: 'bin', directory: folder })).toBe(join(folder, 'bin/nap'));
    expect(findProgram('nap', { path: '/usr/bin' })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it.skipIf(noCompiler)('is static with no interpreter in it, and dynamic with one, as the linker was told', () => {
    expect(whyNotPreloadable(compile('dynamic'))).toBeNull();
    expect(whyNotPreloadable(compile('no-pie', '-no-pie'))).toBeNull();
    expect(whyNotPreloadable(compile('static', '-static'))).toMatchObject({ code: 'STATIC' });
    expect(whyNotPreloadable(compile('static-pie', '-static-pie', '-fPIE'))).toMatchObject({ code: 'STATIC' });
  });

  it('is refused when it is setuid', () => {
    const path = join(folder, 'setuid');
    copyFileSync('/bin/sleep', path);
    chmodSync(path, 0o4755);
    const refusal = whyNotPreloadable(path);
    expect(refusal).toMatchObject({ code: 'SECURE', sentence: expect.stringContaining('setuid') as string });
  });
});

describe('a script', () => {
  it('counts as its interpreter, through others in a row', () => {
    file('first', '#!/bin/sh\n');
    file('second', `#! ${join(folder, 'first')} -x\n`);
    expect(whyNotPreloadable(join(folder, 'second'))).toBeNull();
    file('lost', '#!/no/such/interpreter\n');
    expect(whyNotPreloadable(join(folder, 'lost'))).toMatchObject({
      code: 'NOT_FOUND',
      sentence: expect.stringContaining('/no/such/interpreter') as string,
    });
  });

  it('that names itself ends', () => {
    const path = join(folder, 'snake');
    expect(whyNotPreloadable(file('snake', `#!${path}\n`))).toMatchObject({ code: 'NOT_EXECUTABLE' });
  });

  it('without a mark runs in a shell', () => {
    expect(whyNotPreloadable(file('plain', 'echo hello\n'))).toBeNull();
  });

  it.skipIf(noCompiler)('of a static interpreter is as static', () => {
    const path = file('of-static', `#!${compile('interpreter', '-static')}\n`);
    expect(whyNotPreloadable(path)).toMatchObject({ code: 'STATIC' });
  });
});

describe('what is no program', () => {
  it('is named', () => {
    expect(whyNotPreloadable(join(folder, 'nothing'))).toMatchObject({ code: 'NOT_FOUND' });
    expect(whyNotPreloadable(folder)).toMatchObject({ code: 'NOT_EXECUTABLE' });
    expect(whyNotPreloadable(file('data', 'x', 0o644))).toMatchObject({ code: 'NOT_EXECUTABLE' });
    symlinkSync('loop', join(folder, 'loop'));
    expect(whyNotPreloadable(join(folder, 'loop'))).toMatchObject({ code: 'NOT_EXECUTABLE' });
  });
});

describe('ELF headers', () => {
  /** A program of elf(5) with the segments that are given, each with its content. */
  function elf(bits: 32 | 64, machine: number, segments: readonly [number, Buffer][]): Buffer {
    const wide = bits === 64;
    const [header, entry] = wide ? [64, 56] : [52, 32];
    const head = Buffer.alloc(header + entry * segments.length);
    head.write('\x7fELF', 'latin1');
    head[4] = wide ? 2 : 1;
    head[5] = 1;
    head.writeUInt16LE(machine, 18);
    if (wide) head.writeBigUInt64LE(BigInt(header), 32);
    else head.writeUInt32LE(header, 28);
    head.writeUInt16LE(entry, wide ? 54 : 42);
    head.writeUInt16LE(segments.length, wide ? 56 : 44);
    let at = head.length;
    segments.forEach(([type, { length }], index) => {
      const from = header + index * entry;
      head.writeUInt32LE(type, from);
      if (wide) {
        head.writeBigUInt64LE(BigInt(at), from + 8);
        head.writeBigUInt64LE(BigInt(length), from + 32);
      } else {
        head.writeUInt32LE(at, from + 4);
        head.writeUInt32LE(length, from + 16);
      }
      at += length;
    });
    return Buffer.concat([head, ...segments.map(([, content]) => content)]);
  }
  const own = process.arch === 'arm64' ? 183 : 62;
  const other = process.arch === 'arm64' ? 62 : 183;
  const interp = (path: string): [number, Buffer] => [3, Buffer.from(`${path}\0`)];
  const note = (name: string, type: number, content: Buffer): Buffer => {
    const words = Buffer.alloc(12);
    words.writeUInt32LE(name.length, 0);
    words.writeUInt32LE(content.length, 4);
    words.writeUInt32LE(type, 8);
    const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
    return Buffer.concat([words, pad(Buffer.from(name, 'latin1')), pad(content)]);
  };

  it('tell 32 bits, other machines and musl', () => {
    const refusals = (name: string, bytes: Buffer): unknown => whyNotPreloadable(file(name, bytes))?.code;
    expect(refusals('x32', elf(32, 3, [interp('/lib/ld-linux.so.2')]))).toBe('OTHER_ARCHITECTURE');
    expect(refusals('other', elf(64, other, [interp('/lib/ld.so')]))).toBe('OTHER_ARCHITECTURE');
    expect(refusals('musl', elf(64, own, [interp('/lib/ld-musl-x86_64.so.1')]))).toBe('MUSL');
    expect(refusals('glibc', elf(64, own, [interp('/lib64/ld-linux-x86-64.so.2')]))).toBeUndefined();
  });

  it('name Go when a static program has its note, which need not be the first', () => {
    const gnu = note('GNU\0', 3, Buffer.from('abcdef'));
    const go = note('Go\0\0', 4, Buffer.from('id'));
    const path = file('go', elf(64, own, [[4, Buffer.concat([gnu, go])]]));
    expect(whyNotPreloadable(path)).toMatchObject({
      code: 'STATIC',
      sentence: expect.stringContaining('Go program') as string,
    });
  });

  it('may be any bytes', () => {
    const sound = elf(64, own, [interp('/lib64/ld.so'), [4, note('GNU\0', 3, Buffer.from('abc'))]]);
    const path = join(folder, 'damaged');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 20 }),
        fc.nat(400),
        (damage, cut) => {
          const bytes = Buffer.from(sound);
          for (const [at, value] of damage) bytes[at] = value;
          writeFileSync(path, cut < sound.length ? bytes.subarray(0, cut) : bytes);
          expect(['elf', 'script', 'other']).toContain(readProgramFile(path).kind);
        },
      ),
      { numRuns: 500 },
    );
  });
});
