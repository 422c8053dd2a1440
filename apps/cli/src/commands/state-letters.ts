import { InvalidArgumentError } from 'commander';
import { LEAK_STATES } from '../api/process-fields.js';

const LETTERS = 'RSDZTtXI';

/** Checks letters of process states; points to `--leak` when a leak state was meant. */
export function stateLetters(text: string): string {
  if (text !== '' && [...text].every((letter) => LETTERS.includes(letter))) return text;
  const leak = LEAK_STATES.find((state) => state === text.toUpperCase());
  throw new InvalidArgumentError(
    leak
      ? `It must be any of the letters ${LETTERS}; leak states go with --leak ${leak}.`
      : `It must be any of the letters ${LETTERS}.`,
  );
}
