import { execFile } from 'node:child_process';
import { createToolProcess, type ToolLimits, type ToolProcess } from './tool-process.js';

/** What an address is called: one function, or those that the compiler put into each other. */
export interface NamedFrame {
  function: string | null;
  file: string | null;
  line: number | null;
}

/** A command that knows debug information. Addresses are as the file counts them. */
export interface NamingTool {
  readonly command: string;
  /** For each address its frames, innermost first, at least one. Rejects when the tool fails on this file. */
  name(file: string, addresses: readonly number[]): Promise<NamedFrame[][]>;
  /** Forgets what it knows of files: another file has come in the place of one. */
  forget(): void;
}

/** No compiler goes so deep. */
const MAX_INLINED = 128;
const MAX_TEXT = 16_384;
/** For saying its version, milliseconds: a busy host is no reason to go without. */
const PROBE_TIMEOUT = 30_000;

const LLVM_VERSIONS = Array.from({ length: 24 }, (_, index) => `llvm-symbolizer-${30 - index}`);

/**
 * The best tool there is: llvm-symbolizer, which keeps what it has read of many files, else addr2line; undefined without
 * either. `wanted` names the commands to look for instead.
 */
export async function findNamingTool(limits: ToolLimits, wanted?: readonly string[]): Promise<NamingTool | undefined> {
  for (const command of wanted ?? ['llvm-symbolizer', ...LLVM_VERSIONS, 'addr2line']) {
    if (!(await answers(command, limits))) continue;
    return /addr2line[^/]*$/.test(command) ? addr2line(command, limits) : llvmSymbolizer(command, limits);
  }
  return undefined;
}

function answers(command: string, limits: ToolLimits): Promise<boolean> {
  const options = { env: { PATH: limits.searchPath, LC_ALL: 'C' }, timeout: PROBE_TIMEOUT };
  return new Promise((resolve) => execFile(command, ['--version'], options, (error) => resolve(error === null)));
}

/**
 * Both tools answer an address with the address itself (-a), then pairs of lines, function and place, innermost first;
 * `??` for what is not known (llvm-symbolizer(1), addr2line(1)). Such a conversation ends with an address of its own at
 * which nothing lies: what a damaged file makes a tool say is never taken for the answer to a later question.
 */
const FIRST_SENTINEL = 0xffff_ffff_0000_0000n;

function createConversation(): (
  tool: ToolProcess,
  prefix: string,
  addresses: readonly number[],
) => Promise<NamedFrame[][]> {
  let conversations = 0n;
  return async (tool, prefix, addresses) => {
    if (addresses.length === 0) return [];
    conversations += 1n;
    const asked = [...addresses.map(BigInt), FIRST_SENTINEL + (conversations & 0xffff_ffffn)];
    const end = headerOf(asked.at(-1)!);
    let after = -1;
    const input = asked.map((address) => `${prefix}0x${address.toString(16)}\n`).join('');
    const lines = await tool.converse(input, (line) => {
      after = end.test(line) ? 2 : after - 1;
      return after === 0;
    });
    let at = -1;
    const headers = asked.map((address) => {
      const header = headerOf(address);
      at = lines.findIndex((line, index) => index > at && header.test(line));
      if (at < 0) throw new Error(`the answer to 0x${address.toString(16)} is missing`);
      return at;
    });
    return addresses.map((_, index) => pairs(lines, headers[index]! + 1, headers[index + 1]!));
  };
}

function headerOf(address: bigint): RegExp {
  return new RegExp(`^0x0*${address.toString(16)}$`, 'i');
}

/** One process for all files. */
function llvmSymbolizer(command: string, limits: ToolLimits): NamingTool {
  const tool = createToolProcess(command, ['-a', '--demangle', '--inlines', '--functions=linkage'], limits);
  const ask = createConversation();
  return {
    command,
    forget: () => tool.end(),
    name: async (file, addresses) => {
      if (/[\n\r"]/.test(file)) throw new Error(`${command} cannot be asked for ${JSON.stringify(file)}`);
      return ask(tool, `CODE "${file}" `, addresses);
    },
  };
}

/** One process for each file, of which the last one is kept. */
function addr2line(command: string, limits: ToolLimits): NamingTool {
  const ask = createConversation();
  let kept: { file: string; tool: ToolProcess } | undefined;
  const forget = (): void => {
    kept?.tool.end();
    kept = undefined;
  };
  return {
    command,
    forget,
    name: async (file, addresses) => {
      if (kept?.file !== file) {
        forget();
        kept = { file, tool: createToolProcess(command, ['-a', '-f', '-i', '-C', '-e', file], limits) };
      }
      return ask(kept.tool, '', addresses);
    },
  };
}

function pairs(lines: readonly string[], from: number, to: number): NamedFrame[] {
  const frames: NamedFrame[] = [];
  for (let at = from; at + 1 < to && frames.length < MAX_INLINED; at += 2) {
    frames.push({ function: known(lines[at]!), ...place(lines[at + 1]!) });
  }
  return frames.length > 0 ? frames : [{ function: null, file: null, line: null }];
}

function known(text: string): string | null {
  return text === '??' || text === '' ? null : text.slice(0, MAX_TEXT);
}

/** FILE:LINE, FILE:LINE:COLUMN or FILE:LINE (discriminator N); ? or 0 when the line is not known. */
function place(text: string): { file: string | null; line: number | null } {
  const match = /^(.*?):(\d+|\?)(?::\d+)?(?: \(discriminator \d+\))?$/.exec(text);
  const file = known(match?.[1] ?? text);
  const line = Number(match?.[2]);
  return { file, line: file !== null && line > 0 ? line : null };
}
