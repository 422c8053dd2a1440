import { posix } from 'node:path';
import type { StackFrame } from '@tidemark/contracts';
import type { RawFrame, TracedModule } from '../trace-source.js';
import { DEBUG_ROOTS } from './debug-file.js';
import { readableName } from './demangle.js';
import { fileIdentity, openImage, type Image } from './image.js';
import { createLru } from './lru.js';
import { findNamingTool, type NamedFrame, type NamingTool } from './naming-tool.js';
import type { ToolLimits } from './tool-process.js';

export interface SymbolizerOptions extends Partial<ToolLimits> {
  /** Commands to look for, best first, by name or path: any of llvm-symbolizer's and addr2line's. None: symbol tables alone. */
  tools?: readonly string[];
  /** Roots of separate debug files. Default /usr/lib/debug. */
  debugRoots?: readonly string[];
  /** Named addresses that are kept. Default 65,536. */
  maxNames?: number;
  /** Modules whose files and symbol tables are kept open. Default 64. */
  maxImages?: number;
}

/** Gives names to frames. What it starts or opens stays until `close`, but never keeps the process alive. */
export interface Symbolizer {
  /**
   * For each frame the frames that a person reads: what was inlined there, innermost first, then the function itself. What
   * is not known is null; nothing is guessed from a file that is not the one mapped. Never rejects but after `close`.
   */
  symbolize(frames: readonly RawFrame[]): Promise<StackFrame[][]>;
  /** Sentences about modules whose frames have no names, or worse ones than they could. Bounded. */
  problems(): string[];
  close(): Promise<void>;
}

const DEFAULTS = {
  searchPath: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  toolMemory: 1024 * 1024 * 1024,
  toolTimeout: 20_000,
  debugRoots: DEBUG_ROOTS,
  maxNames: 65_536,
  maxImages: 64,
} satisfies SymbolizerOptions;

/** Addresses in one question, and files that a tool may hold before it is started anew. */
const BATCH = 256;
const MAX_TOOL_FILES = 512;
const MAX_PROBLEMS = 100;

type Settings = typeof DEFAULTS & SymbolizerOptions;

interface State {
  settings: Settings;
  tool: Promise<NamingTool | undefined> | undefined;
  /** What each path held when the tool was first asked for it. */
  toolFiles: Map<string, string>;
  names: ReturnType<typeof createLru<NamedFrame[]>>;
  images: ReturnType<typeof createLru<Image>>;
  /** Of each module when it was last opened. */
  identities: ReturnType<typeof createLru<string>>;
  /** Made room, and are closed once nobody uses them. */
  evicted: Image[];
  problems: Set<string>;
  closed: boolean;
}

export function createSymbolizer(options: SymbolizerOptions = {}): Symbolizer {
  const settings: Settings = { ...DEFAULTS, ...options };
  const state: State = {
    settings,
    tool: undefined,
    toolFiles: new Map(),
    names: createLru(settings.maxNames),
    images: createLru(settings.maxImages, (image) => state.evicted.push(image)),
    identities: createLru(settings.maxImages * 16),
    evicted: [],
    problems: new Set(),
    closed: false,
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    symbolize: (frames) => {
      const answer = last.then(() => {
        if (state.closed) throw new Error('the symbolizer is closed: frames can be named only before');
        return symbolizeAll(state, frames);
      });
      last = answer.catch(() => undefined);
      return answer;
    },
    problems: () => [...state.problems],
    close: async () => {
      state.closed = true;
      (await state.tool)?.forget();
      await last;
      (await state.tool)?.forget();
      state.images.clear();
      state.names.clear();
      await closeEvicted(state);
    },
  };
}

/** What is asked of one image: addresses that have no name yet. */
interface Question {
  image: Image;
  addresses: Set<number>;
}

async function symbolizeAll(state: State, frames: readonly RawFrame[]): Promise<StackFrame[][]> {
  const images = new Map<string, Promise<Image>>();
  const found = new Map<string, NamedFrame[]>();
  const questions = new Map<string, Question>();
  const places: { key: string | null; buildId: string | null }[] = [];
  for (const { module, address } of frames) {
    if (module === null) {
      places.push({ key: null, buildId: null });
      continue;
    }
    const image = await imageOf(state, images, module);
    const key = nameKey(image.identity, address);
    places.push({ key, buildId: image.buildId });
    const name = state.names.get(key);
    if (name !== undefined) found.set(key, name);
    else if (image.file !== null) {
      const question = questions.get(image.identity) ?? { image, addresses: new Set() };
      questions.set(image.identity, question);
      question.addresses.add(address);
    }
  }
  for (const question of questions.values()) await answer(state, question, found);
  await closeEvicted(state);
  return frames.map(({ module, address }, index) => {
    const { key, buildId } = places[index]!;
    const names = (key === null ? undefined : found.get(key)) ?? [NAMELESS];
    return names.map((name, at) => ({
      ...name,
      module: module?.path ?? null,
      buildId,
      offset: address,
      inlined: at < names.length - 1,
    }));
  });
}

const NAMELESS: NamedFrame = { function: null, file: null, line: null };

function nameKey(identity: string, address: number): string {
  return `${identity}@${address}`;
}

/** Files are looked at once for all frames of a call. */
function imageOf(state: State, seen: Map<string, Promise<Image>>, module: TracedModule): Promise<Image> {
  const name = JSON.stringify([module.file, module.path, module.buildId]);
  const known = seen.get(name);
  if (known !== undefined) return known;
  const found = findImage(state, module, name);
  seen.set(name, found);
  return found;
}

async function findImage(state: State, module: TracedModule, name: string): Promise<Image> {
  const now = module.file === null ? null : await fileIdentity(module.file);
  const key = `${name}${now}`;
  const kept = state.images.get(key);
  if (kept !== undefined) return kept;
  const opened = await openImage(module, state.settings.debugRoots);
  // What is gone keeps the names that it had; by build id, also those that another copy of it was given.
  const before = now === null ? state.identities.get(name) : undefined;
  const image = before === undefined ? opened : { ...opened, identity: before };
  state.identities.set(name, image.identity);
  state.images.set(key, image);
  if (image.problem !== null) addProblem(state, image.problem);
  return image;
}

async function closeEvicted(state: State): Promise<void> {
  await Promise.all(state.evicted.splice(0).map((image) => image.close()));
}

function addProblem(state: State, problem: string): void {
  if (state.problems.size < MAX_PROBLEMS) state.problems.add(problem);
}

async function answer(state: State, { image, addresses }: Question, found: Map<string, NamedFrame[]>): Promise<void> {
  const all = [...addresses];
  for (let from = 0; from < all.length; from += BATCH) {
    const batch = all.slice(from, from + BATCH);
    // The return address may lie behind a call that does not return: in the next line, or in the next function.
    const calls = batch.map((address) => Math.max(0, address - 1));
    const asked = await askTool(state, image, calls);
    // What came in the place of the file meanwhile may have been read instead.
    const now = image.file === null ? null : await fileIdentity(image.file);
    const named = now === null || now === image.fileState ? asked : undefined;
    for (const [index, address] of batch.entries()) {
      const names = (await improve(image, calls[index]!, named?.[index])).map(readable);
      const key = nameKey(image.identity, address);
      found.set(key, names);
      if (now === image.fileState) state.names.set(key, names);
    }
  }
}

/** Without debug information tools take the symbol table too, and some take any symbol before the address. */
async function improve(image: Image, address: number, named: NamedFrame[] | undefined): Promise<NamedFrame[]> {
  if (named !== undefined && (named.length > 1 || named[0]?.line !== null)) return named;
  const symbol = await image.functionAt(address);
  if (symbol === null) return [NAMELESS];
  const name = symbol.inside ? (named?.at(-1)?.function ?? symbol.name) : symbol.name;
  return [{ function: name, file: null, line: null }];
}

function readable({ function: name, file, line }: NamedFrame): NamedFrame {
  return {
    function: name === null ? null : readableName(name),
    file: file === null ? null : posix.normalize(file),
    line,
  };
}

/** Undefined when there is no tool, or it fails on this file. */
async function askTool(state: State, image: Image, calls: readonly number[]): Promise<NamedFrame[][] | undefined> {
  const { file } = image;
  if (file === null || image.toolFailed) return undefined;
  const tool = await (state.tool ??= findNamingTool(state.settings, state.settings.tools));
  if (tool === undefined) {
    addProblem(state, 'neither llvm-symbolizer nor addr2line is installed: functions are named without source lines');
    return undefined;
  }
  const fresh = prepareTool(state, tool, image);
  const attempts = fresh ? 1 : 2;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    try {
      return await tool.name(file, calls);
    } catch (error) {
      // A tool that has read many files may have died of them: one by itself gets a second chance.
      const reason = error instanceof Error ? error.message : String(error);
      if (state.closed) return undefined;
      if (attempt < attempts && !reason.includes('did not answer')) continue;
      image.toolFailed = true;
      addProblem(state, `${file}: ${reason}; its functions are named by the symbol table`);
    }
  }
  return undefined;
}

/** Whether the tool begins anew: it must forget a path at which another file lies by now. */
function prepareTool(state: State, tool: NamingTool, { file, fileState }: Image): boolean {
  const before = state.toolFiles.get(file ?? '');
  const replaced = before !== undefined && before !== fileState;
  if (replaced || state.toolFiles.size >= MAX_TOOL_FILES) {
    tool.forget();
    state.toolFiles.clear();
  }
  const fresh = state.toolFiles.size === 0;
  state.toolFiles.set(file ?? '', fileState ?? '');
  return fresh;
}
