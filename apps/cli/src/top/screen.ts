import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { displayWidth } from '../terminal/printable.js';
import { lineWidth, paint, type Line } from '../terminal/style.js';
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
  const terminal = createTakeover(input, output);
  const onKey = (text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    events.key({ name: key.name, text, ctrl: key.ctrl === true });
  };
  const anew = (): void => {
    shown = [];
    events.resized();
  };
  const onContinue = (): void => {
    terminal.take();
    anew();
  };

  emitKeypressEvents(input);
  input.on('keypress', onKey);
  output.on('resize', anew);
  process.on('SIGCONT', onContinue);
  // Also runs after an uncaught error: the shell must find its terminal as it was.
  process.on('exit', terminal.giveBack);
  terminal.take();

  return {
    size: () => ({ columns: Math.max(20, output.columns || 80), rows: Math.max(5, output.rows || 24) }),
    draw(lines) {
      if (!terminal.taken) return;
      const columns = output.columns || 80;
      const painted = lines.map((line) => paintRow(line, columns, colours));
      output.write(difference(shown, painted));
      shown = painted;
    },
    suspend() {
      terminal.giveBack();
      process.kill(process.pid, 'SIGTSTP');
    },
    close() {
      terminal.giveBack();
      input.off('keypress', onKey);
      output.off('resize', anew);
      process.off('SIGCONT', onContinue);
      process.off('exit', terminal.giveBack);
    },
  };
}

interface Takeover {
  readonly taken: boolean;
  take(): void;
  giveBack(): void;
}

function createTakeover(input: ReadStream, output: WriteStream): Takeover {
  let taken = false;
  return {
    get taken() {
      return taken;
    },
    take() {
      if (taken) return;
      taken = true;
      input.setRawMode(true);
      input.resume();
      output.write(ENTER);
    },
    giveBack() {
      if (!taken) return;
      taken = false;
      output.write(LEAVE);
      try {
        input.setRawMode(false);
      } catch {
        // The terminal is gone: there is nothing to give back.
      }
      input.pause();
    },
  };
}

const ERASE_REST = `${ESC}0m${ESC}K`;

/** A line with what clears the rest of its row; after a full one the cursor stands on the last column, to be kept. */
export function paintRow(line: Line, columns: number, colours: boolean): string {
  const text = paint(line, colours);
  // Without colours blanks at the end are not sent.
  const width = colours ? lineWidth(line) : displayWidth(text);
  return text + (width < columns ? ERASE_REST : '');
}

/** What to send to a terminal that shows the rows `before` so that it shows those of `after`. */
export function difference(before: readonly string[], after: readonly string[]): string {
  let text = '';
  const rows = Math.max(before.length, after.length);
  for (let row = 0; row < rows; row++) {
    const line = after[row] ?? ERASE_REST;
    if (line !== before[row]) text += `${ESC}${row + 1};1H${line}`;
  }
  return text === '' ? '' : BEGIN + text + END;
}
