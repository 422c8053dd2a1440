import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

export const hasTmux = spawnSync('tmux', ['-V']).status === 0;

/** A real terminal of a known size, in a tmux server of its own. */
export interface Terminal {
  /** What it shows, without colours. */
  text(): string;
  /** What it shows, with the codes of its colours. */
  colours(): string;
  /** Keys by tmux's names (`Down`, `Enter`), or text. */
  press(...keys: string[]): void;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** A format of tmux: `#{alternate_on}`. */
  ask(format: string): string;
  /** Waits until the text shows. */
  shows(what: string | RegExp): Promise<string>;
  close(): void;
}

/** Runs a shell command in the terminal; it stays after the command ended. */
export function openTerminal(
  command: string,
  columns: number,
  rows: number,
  env: Record<string, string> = {},
): Terminal {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-tmux-'));
  const socket = ['-S', join(directory, 'socket')];
  const tmux = (...args: string[]): string =>
    execFileSync('tmux', [...socket, '-u', '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: '/nonexistent',
        LANG: 'C.UTF-8',
        TZ: 'UTC',
        TERM: 'screen-256color',
        ...env,
      },
    });
  tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), `sh -c '${command}; exec sh'`);
  const text = (): string => tmux('capture-pane', '-p');
  return {
    text,
    colours: () => tmux('capture-pane', '-p', '-e'),
    press: (...keys) => void tmux('send-keys', ...keys),
    type: (typed) => void tmux('send-keys', '-l', typed),
    resize: (wide, high) => void tmux('resize-window', '-x', String(wide), '-y', String(high)),
    ask: (format) => tmux('display-message', '-p', format).trim(),
    shows: (what) =>
      until(
        `the terminal to show ${String(what)}`,
        () => {
          const shown = text();
          return (typeof what === 'string' ? shown.includes(what) : what.test(shown)) && shown;
        },
        20_000,
      ),
    close() {
      spawnSync('tmux', [...socket, 'kill-server']);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
