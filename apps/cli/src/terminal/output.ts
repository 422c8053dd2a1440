import { printable, printableJson, truncate } from './printable.js';
import { paint, type Line } from './style.js';

/** Standard output and error of one command: the only place that writes to either. */
export interface Output {
  /** Columns of the terminal; Infinity when standard output is not one, so that nothing is cut. */
  readonly width: number;
  readonly isTerminal: boolean;
  readonly colours: boolean;
  lines(lines: readonly Line[]): void;
  text(text: string): void;
  /** One line of compact JSON, or an indented document for a person at a terminal. */
  json(value: unknown): void;
  jsonLine(value: unknown): void;
  /** A remark on standard error: `tidemark: …`, one line. */
  note(message: string): void;
  /** Columns of the terminal that standard error is; Infinity when it is none. */
  readonly asideWidth: number;
  /** What has to go to standard error, because standard output is somebody else's. */
  asideLines(lines: readonly Line[]): void;
  /** The same for text that is printable already. */
  aside(text: string): void;
  /** The line under way on standard error, written over the one before; null takes it away. Nothing without a terminal. */
  progress(line: string | null): void;
}

export interface OutputStream {
  write(text: string): boolean;
  isTTY?: boolean;
  columns?: number;
}

export function createOutput(stdout: OutputStream, stderr: OutputStream, plain: boolean): Output {
  const isTerminal = stdout.isTTY === true;
  const colours = isTerminal && !plain;
  return {
    isTerminal,
    colours,
    get width() {
      return isTerminal ? Math.max(20, stdout.columns || 80) : Infinity;
    },
    lines(lines) {
      if (lines.length > 0) stdout.write(lines.map((line) => `${paint(line, colours)}\n`).join(''));
    },
    text(text) {
      stdout.write(`${printable(text)}\n`);
    },
    json(value) {
      stdout.write(`${printableJson(value, isTerminal ? 2 : undefined)}\n`);
    },
    jsonLine(value) {
      stdout.write(`${printableJson(value)}\n`);
    },
    note(message) {
      stderr.write(`tidemark: ${printable(message)}\n`);
    },
    get asideWidth() {
      return stderr.isTTY === true ? Math.max(20, stderr.columns || 80) : Infinity;
    },
    asideLines(lines) {
      const painted = stderr.isTTY === true && !plain;
      if (lines.length > 0) stderr.write(lines.map((line) => `${paint(line, painted)}\n`).join(''));
    },
    aside(text) {
      stderr.write(text);
    },
    progress(line) {
      if (stderr.isTTY !== true || plain) return;
      const width = Math.max(20, stderr.columns || 80) - 1;
      stderr.write(line === null ? '\r\x1b[K' : `\r${truncate(printable(line), width)}\x1b[K`);
    },
  };
}
