import { basename } from 'node:path';
import { TraceError } from '../errors.js';
import { PREFIXED_ENTRIES, STANDARD_ENTRIES, type EntryPoint } from './entry-points.js';
import type { AddressSpace, MappedObject } from './mapped-objects.js';
import { codeAt, startOfProbe } from './probe-start.js';

/** An entry point of the allocator as it lies in the process. */
export interface ProbePlace extends EntryPoint {
  name: string;
  object: MappedObject;
  /** Of the probe, in memory: the function's start or a little behind. */
  address: number;
  /** The kernel has the instruction there stepped by a second trap. */
  stepped: boolean;
  /** In the object's file, bytes. */
  offset: number;
}

/** What linkers call the objects that define malloc for themselves alone, or hand it on. */
const NOT_ALLOCATORS = /^(ld-linux|ld-musl|ld-2|ld\.so|libtidemark)/;
const LIBC = /^(libc[.-]|libc\.so|libc\.musl)/;

/**
 * Entry points of the allocator that the process really calls: the first of the executable, a library before libc, libc,
 * that defines malloc and free; and allocators in the executable under names of their own. One place per address.
 * Throws TRACE_REFUSED with the reason when there is none.
 */
export async function findAllocator(space: AddressSpace, pid: number): Promise<ProbePlace[]> {
  const executable = space.objects.find(({ isExecutable }) => isExecutable);
  const candidates = [
    ...space.objects.filter((object) => object.isExecutable),
    ...space.objects.filter((object) => !object.isExecutable && !LIBC.test(nameOf(object))),
    ...space.objects.filter((object) => !object.isExecutable && LIBC.test(nameOf(object))),
  ].filter((object) => object.elf !== null && !NOT_ALLOCATORS.test(nameOf(object)));
  const places = new Map<number, ProbePlace>();
  for (const object of candidates) {
    const found = await placesIn(object, STANDARD_ENTRIES);
    const names = new Set(found.map(({ name }) => name));
    if (!names.has('malloc') || !names.has('free')) continue;
    for (const place of found) places.set(place.address, places.get(place.address) ?? place);
    break;
  }
  if (executable?.elf) {
    for (const place of await placesIn(executable, PREFIXED_ENTRIES)) {
      places.set(place.address, places.get(place.address) ?? place);
    }
  }
  if (places.size === 0) throw notFound(pid, executable);
  return [...places.values()];
}

function nameOf({ module }: MappedObject): string {
  return basename(module.path);
}

async function placesIn(
  object: MappedObject,
  entries: readonly (readonly [string, EntryPoint])[],
): Promise<ProbePlace[]> {
  const elf = object.elf!;
  if (elf.machine !== 'x86-64') {
    throw new TraceError(
      'TRACE_REFUSED',
      `uprobes: ${object.module.path} is a program for ${elf.machine}; only x86-64 is traced by uprobes`,
    );
  }
  const functions = await elf.functions().catch(() => null);
  const places: ProbePlace[] = [];
  for (const [name, entry] of functions === null ? [] : entries) {
    const [symbol] = await functions!.named(name);
    const offset = symbol === undefined ? null : elf.offsetOf(symbol.address);
    const address = symbol === undefined ? 0 : symbol.address + object.module.bias;
    if (offset === null || address < object.module.start || address >= object.module.end) continue;
    const code = object.module.file === null ? new Uint8Array() : await codeAt(object.module.file, offset);
    const push = startOfProbe(code, entry.kind);
    const past = push ?? 0;
    const stepped = push === null;
    places.push({ ...entry, name, object, stepped, address: address + past, offset: offset + past });
  }
  return places;
}

function notFound(pid: number, executable: MappedObject | undefined): TraceError {
  if (executable === undefined) {
    return new TraceError(
      'TRACE_REFUSED',
      `uprobes: process ${pid} runs no program file (a kernel thread, or on its way out)`,
    );
  }
  const { path } = executable.module;
  if (executable.elf === null) {
    return new TraceError('TRACE_REFUSED', `uprobes: ${path} of process ${pid} cannot be read: ${executable.problem}`);
  }
  if (executable.elf.interpreter === null) {
    return new TraceError(
      'TRACE_REFUSED',
      `uprobes: ${path} of process ${pid} is a static program without symbols of an allocator; ` +
        'link it dynamically, or keep its symbol table',
    );
  }
  return new TraceError(
    'TRACE_REFUSED',
    `uprobes: no mapped object of process ${pid} (${path}) defines malloc and free; its allocator is not known`,
  );
}
