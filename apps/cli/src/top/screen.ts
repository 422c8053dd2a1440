import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { paint, type Line } from '../terminal/style.js';
import type { Size } from './frame.js';
import type { Key } from './keys.js';

const ESC = '\x1b[';
/** Alternate screen, no cursor, no wrapping at the edge. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l${ESC}2J`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** Terminals that know it show the frame at once; the others ignore it. */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;

export interface ScreenEvents {
  key(key: Key): void;
  resized(): void;
}

/** A terminal taken over for a live picture, and given back whatever happens. */
export interface Screen {
  size(): Size;
  /** Shows a frame; only lines that differ from the last one are sent. */
  draw(lines: readonly Line[]): void;
  /** Gives the terminal back and stops this process until the shell continues it. */
  suspend(): void;
  /** Gives the terminal back. Safe to call twice. */
  close(): void;
}

export function openScreen(input: ReadStream, output: WriteStream, colours: boolean, events: ScreenEvents): Screen {
  let shown: string[] = [];
  let active = false;

  const size = (): Size => ({ columns: Math.max(20, output.columns || 80), rows: Math.max(5, output.rows || 24) });
  const enter = (): void => {
    if (active) return;
    active = true;
    shown = [];
    input.setRawMode(true);
    input.resume();
    output.write(ENTER);
  };
  const leave = (): void => {
    if (!active) return;
    active = false;
    output.write(LEAVE);
    // The terminal can be gone: then there is nothing to restore.
    try {
      input.setRawMode(false);
    } catch {
      return;
    } finally {
      input.pause();
    }
  };
  const onKey = (text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    events.key({ name: key.name, text, ctrl: key.ctrl === true });
  };
  const onResize = (): void => {
    shown = [];
    events.resized();
  };
  const onContinue = (): void => {
    enter();
    events.resized();
  };

  emitKeypressEvents(input);
  input.on('keypress', onKey);
  output.on('resize', onResize);
  process.on('SIGCONT', onContinue);
  // Also runs after an uncaught error: the shell must find its terminal as it was.
  process.on('exit', leave);
  enter();

  return {
    size,
    draw(lines) {
      if (!active) return;
      const painted = lines.map((line) => paint(line, colours));
      output.write(difference(shown, painted));
      shown = painted;
    },
    suspend() {
      leave();
      process.kill(process.pid, 'SIGTSTP');
    },
    close() {
      leave();
      input.off('keypress', onKey);
      output.off('resize', onResize);
      process.off('SIGCONT', onContinue);
      process.off('exit', leave);
    },
  };
}

/** What to send to a terminal that shows `before` so that it shows `after`. */
export function difference(before: readonly string[], after: readonly string[]): string {
  let text = '';
  const rows = Math.max(before.length, after.length);
  for (let row = 0; row < rows; row++) {
    const line = after[row] ?? '';
    if (line !== before[row]) text += `${ESC}${row + 1};1H${line}${ESC}0m${ESC}K`;
  }
  return text === '' ? '' : BEGIN + text + END;
}
