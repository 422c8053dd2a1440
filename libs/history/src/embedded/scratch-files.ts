import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Files for the rows of inserts, one for each insert under way. A file is emptied and used again instead of removed: ext4
 * does not use the place of a removed file for minutes and looks at each such place whenever a file is made, so that some
 * twenty removals a second slow down all that the engine writes.
 */
export interface ScratchFiles {
  /** Name of a file that nobody else has; it may not exist. */
  take(): string;
  /** Nobody reads or writes it any more: it is emptied for the next. */
  giveBack(name: string): Promise<void>;
  /** The end of the insert is not known well enough: the name is not used again. */
  drop(name: string): Promise<void>;
}

export function createScratchFiles(directory: string): ScratchFiles {
  const idle: string[] = [];
  let made = 0;
  const drop = (name: string): Promise<void> => rm(join(directory, name), { force: true });
  return {
    take: () => idle.pop() ?? `in-${(made += 1)}`,
    async giveBack(name) {
      try {
        await truncate(join(directory, name));
        idle.push(name);
      } catch {
        await drop(name);
      }
    },
    drop,
  };
}
