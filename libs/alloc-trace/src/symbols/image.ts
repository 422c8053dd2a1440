import { stat } from 'node:fs/promises';
import type { TracedModule } from '../trace-source.js';
import { debugFileOfBuildId, debugFileOfLink } from './debug-file.js';
import { demangle } from './demangle.js';
import type { NearestFunction } from './elf-functions.js';
import { openElf, type ElfFile } from './elf.js';
import { functionStarts } from './function-starts.js';

/** What can be asked about the addresses of one module. */
export interface Image {
  /**
   * Stands for the content: the build id when none but root could have made the files up, else what tells one file from
   * another. A file of anybody else may claim the build id of a library that others use.
   */
  readonly identity: string;
  readonly buildId: string | null;
  /** The file with the most debug information: for tools. Null when nothing could be opened. */
  readonly file: string | null;
  /** `fileIdentity` of the file when it was opened. */
  readonly fileState: string | null;
  /** Why it is not known what there should be to know; null when all is well. */
  readonly problem: string | null;
  /** A tool failed on the file: it is not asked again. */
  toolFailed: boolean;
  /** The function at an address by the symbol tables, readable; null when none is near. */
  functionAt(address: number): Promise<{ name: string; inside: boolean } | null>;
  close(): Promise<void>;
}

/** Behind a symbol that has ended code is called by it only so far, bytes: more says nothing. */
const MAX_DISTANCE = 4096;

/** Identity of what a path names now; null when nothing. */
export async function fileIdentity(path: string): Promise<string | null> {
  return (await identify(path))?.state ?? null;
}

async function identify(path: string): Promise<{ state: string; isOfRoot: boolean } | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  if (found === null) return null;
  return { state: `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`, isOfRoot: found.uid === 0n };
}

/**
 * Opens what there is for a module: the file itself when it is the one that was mapped (the same build id), and its
 * separate debug file. Never throws: `problem` says what is missing.
 */
export async function openImage(module: TracedModule, debugRoots: readonly string[]): Promise<Image> {
  const { program, problem } = await openProgram(module);
  const buildId = module.buildId ?? program?.buildId ?? null;
  const roots = [...debugRoots, ...ownRoots(module)];
  const debug =
    (buildId === null ? null : await debugFileOfBuildId(buildId, roots)) ??
    (program === null ? null : await debugFileOfLink(program, program.name, module.path, roots));
  const elves = [debug, program].filter((elf) => elf !== null);
  const file = elves[0]?.name ?? null;
  const states = await Promise.all(elves.map(({ name }) => identify(name)));
  const isShared = buildId !== null && states.every((one) => one?.isOfRoot);
  const identity = states.map((one) => one?.state).join('+') || module.path;
  let starts: ReturnType<typeof startsOf> | undefined;
  return {
    identity: isShared ? `build:${buildId}` : `file:${identity}`,
    buildId,
    file,
    fileState: states[0]?.state ?? null,
    problem: file === null ? problem : null,
    toolFailed: false,
    functionAt: (address) => functionAt(elves, () => (starts ??= startsOf(program)), address),
    close: async () => {
      await Promise.all(elves.map((elf) => elf.close()));
    },
  };
}

/** A process in a container may have debug files of its own; they are believed for their build id alone. */
function ownRoots({ file }: TracedModule): string[] {
  const root = file === null ? null : /^\/proc\/\d+\/root(?=\/)/.exec(file);
  return root === null ? [] : [`${root[0]}/usr/lib/debug`];
}

async function openProgram({
  path,
  file,
  buildId,
}: TracedModule): Promise<{ program: ElfFile | null; problem: string | null }> {
  // The kernel's own page of code has no file on any disk: nothing is amiss.
  if (file === null) return { program: null, problem: path.startsWith('[') ? null : `${path}: is on no disk` };
  try {
    const program = await openElf(file);
    if (buildId === null || program.buildId === buildId) return { program, problem: null };
    await program.close();
    const found = program.buildId ?? 'none';
    return {
      program: null,
      problem: `${path}: the file is not the one that runs (build id ${found}, mapped ${buildId}), so it names nothing`,
    };
  } catch (error) {
    return { program: null, problem: `${path}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

type FunctionStarts = Awaited<ReturnType<typeof functionStarts>>;

async function startsOf(program: ElfFile | null): Promise<FunctionStarts> {
  return program === null ? () => null : functionStarts(program);
}

async function functionAt(
  elves: readonly ElfFile[],
  starts: () => Promise<FunctionStarts>,
  address: number,
): Promise<{ name: string; inside: boolean } | null> {
  let best: NearestFunction | undefined;
  for (const elf of elves) {
    const found = await nearest(elf, address);
    if (found === null || found.name === '' || !sameSection(elf, found.address, address)) continue;
    if (found.inside) return { name: demangle(found.name), inside: true };
    if (best === undefined || found.address > best.address) best = found;
  }
  if (best === undefined || address - best.address > MAX_DISTANCE) return null;
  // All of a nameless function goes by one name: where it begins behind the symbol.
  const start = (await starts())(address);
  const place = start !== null && start > best.address ? start : address;
  return { name: `${demangle(best.name)}+0x${(place - best.address).toString(16)}`, inside: false };
}

async function nearest(elf: ElfFile, address: number): Promise<NearestFunction | null> {
  try {
    return await (await elf.functions()).nearest(address);
  } catch {
    // Damaged tables name nothing.
    return null;
  }
}

function sameSection(elf: ElfFile, symbol: number, address: number): boolean {
  const section = elf.sections.find(
    (one) => one.address > 0 && address >= one.address && address < one.address + one.size,
  );
  return section === undefined || symbol >= section.address;
}
