import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createRingWriter, type RingWriter } from '../ring/ring-writer.oracle.js';
import { parseStat } from './process-watch.js';

/** Why no such process can be started here; undefined when one can. */
export const noPython = spawnSync('python3', ['--version']).status === 0 ? undefined : 'no python3';

const PROGRAM = `
import mmap, os, sys
maps = []
for line in sys.stdin:
    with open(line.strip(), 'r+b') as file:
        maps.append(mmap.mmap(file.fileno(), 4096))
    print('mapped', flush=True)
`;

/** A process that has ring files mapped as the library would have, with a test in the place of the library. */
export interface MappedProcess {
  pid: number;
  startTime: number;
  /** Makes a ring file of this process, `<pid>.ring` unless named otherwise, and maps it. */
  map(directory: string, options?: { pid?: number; startTime?: number; name?: string }): Promise<RingWriter>;
  /** Ends it with SIGKILL, and waits. */
  kill(): Promise<void>;
}

export async function startMappedProcess(): Promise<MappedProcess> {
  const child = spawn('python3', ['-c', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await new Promise((resolve) => child.once('spawn', resolve));
  const pid = child.pid!;
  const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))!;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  return {
    pid,
    startTime: stat.startTime,
    map: async (directory, options = {}) => {
      const path = join(directory, options.name ?? `${pid}.ring`);
      const writer = createRingWriter(path, {
        pid: options.pid ?? pid,
        startTime: options.startTime ?? stat.startTime,
      });
      writer.moment('first', { ticks: 1e9, monotonicNs: 1e9, realtimeMs: Date.now() - 60_000 });
      child.stdin.write(`${path}\n`);
      await lines.next();
      return writer;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
