import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether a command is there; under CI it must be. */
export function available(command: string, probe = '--version'): boolean {
  try {
    execFileSync(command, [probe], { stdio: 'ignore' });
    return true;
  } catch {
    // eslint-disable-next-line no-restricted-properties -- only tests come here
    if (process.env['CI'] === 'true') throw new Error(`${command} is needed by these tests: install it`);
    return false;
  }
}

/** Whether a command is there that tests can do without everywhere. */
export function present(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'tidemark-symbols-'));
}

/** Runs a command and gives its standard output. */
export function run(command: string, args: readonly string[], input?: string): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    ...(input === undefined ? {} : { input }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Writes the source beside the program and compiles it; gives the path of the program. */
export function compile(
  directory: string,
  name: string,
  source: string,
  flags: readonly string[],
  compiler: 'gcc' | 'g++' | 'clang' = 'gcc',
): string {
  const file = join(directory, `${name}${compiler === 'g++' ? '.cc' : '.c'}`);
  const program = join(directory, name);
  writeFileSync(file, source);
  run(compiler, ['-o', program, file, ...flags]);
  return program;
}

/** The number of the only line that holds a mark. */
export function lineOf(source: string, mark: string): number {
  const lines = source.split('\n').flatMap((line, index) => (line.includes(mark) ? [index + 1] : []));
  if (lines.length !== 1) throw new Error(`${mark} is in ${lines.length} lines`);
  return lines[0]!;
}
