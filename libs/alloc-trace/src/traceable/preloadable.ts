import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { readProgramFile, type ProgramFile } from './program-file.js';
import { refuse, type Refusal } from './refusal.js';

export interface PreloadableOptions {
  /** PATH of the environment that the program will have. */
  path?: string | undefined;
  directory?: string | undefined;
}

/** A script may name a script; the kernel follows as many (exec_binprm). */
const MAX_SCRIPTS = 5;
const MACHINES: Partial<Record<NodeJS.Architecture, number>> = { x64: 62, arm64: 183 };

/**
 * Why the preload library cannot be loaded into a program that is to be started; null when it can. Of a script, its
 * interpreter counts. File capabilities are not seen here: a program with them shows itself when it runs.
 */
export function whyNotPreloadable(command: string, options: PreloadableOptions = {}): Refusal | null {
  const found = findProgram(command, options);
  return typeof found === 'string' ? judge(found, command, 0, options) : found;
}

/** Path of a command as execvp(3) finds it, or why there is none. */
export function findProgram(command: string, { path, directory }: PreloadableOptions = {}): string | Refusal {
  const at = (name: string): string => resolve(directory ?? '.', name);
  if (command.includes('/')) return at(command);
  const folders = (path ?? '/usr/local/bin:/bin:/usr/bin').split(':');
  const found = folders.map((folder) => at(`${folder === '' ? '.' : folder}/${command}`)).find(isExecutable);
  return found ?? refuse('NOT_FOUND', `${command}: not found in PATH.`);
}

function judge(path: string, command: string, depth: number, options: PreloadableOptions): Refusal | null {
  let stats: Stats;
  let program: ProgramFile;
  try {
    stats = statSync(path);
    if (!stats.isFile() || !isExecutable(path)) return refuse('NOT_EXECUTABLE', `${path}: is no executable file.`);
    program = readProgramFile(path);
  } catch (error) {
    return unreadable(path, error);
  }
  if (program.kind === 'script') {
    if (depth >= MAX_SCRIPTS) return refuse('NOT_EXECUTABLE', `${command}: more than ${MAX_SCRIPTS} scripts in a row.`);
    return judge(resolve(options.directory ?? '.', program.interpreter), command, depth + 1, options);
  }
  // Without a mark of its own, execvp(3) gives the file to a shell.
  if (program.kind === 'other') return depth === 0 ? null : refuse('NOT_EXECUTABLE', `${path}: is no program.`);
  return whyNotElf(path, program) ?? whyNotSecure(path, stats);
}

function unreadable(path: string, error: unknown): Refusal | null {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return refuse('NOT_FOUND', `${path}: no such file.`);
  // A program may be executable and not readable: it may well be preloadable.
  if (code === 'EACCES' && isExecutable(path)) return null;
  return refuse('NOT_EXECUTABLE', `${path}: cannot be read: ${message}.`);
}

/** Why nothing can be loaded into a program of this kind. */
export function whyNotElf(path: string, program: ProgramFile & { kind: 'elf' }): Refusal | null {
  if (program.bits !== 64) return refuse('OTHER_ARCHITECTURE', `${path}: is a 32-bit program; the library has 64.`);
  if (program.machine !== MACHINES[process.arch]) {
    return refuse(
      'OTHER_ARCHITECTURE',
      `${path}: is for another machine (ELF ${program.machine}) than this ${process.arch}.`,
    );
  }
  if (program.interpreter === null) {
    const go = program.go ? ' It is a Go program: Go has an allocator of its own, and pprof for it.' : '';
    return refuse('STATIC', `${path}: is a static binary, so nothing can be loaded into it.${go}`);
  }
  if (program.interpreter.includes('ld-musl')) {
    return refuse('MUSL', `${path}: runs with musl libc; the library is built for glibc.`);
  }
  return null;
}

/** ld.so(8): in secure execution, preloaded libraries with a path are ignored. */
function whyNotSecure(path: string, stats: Stats): Refusal | null {
  const setuid = (stats.mode & 0o4000) !== 0;
  const setgid = (stats.mode & 0o2010) === 0o2010 && stats.gid !== process.getgid?.();
  if (!setuid && !setgid) return null;
  const what = setuid ? 'setuid' : 'setgid';
  return refuse('SECURE', `${path}: is ${what}: the dynamic linker preloads nothing into such programs.`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
