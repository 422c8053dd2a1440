import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEnvironment } from '../config.js';
import type { CommandContext } from '../context.js';
import { Exit } from '../exit-codes.js';
import { createOutput } from '../terminal/output.js';
import { standaloneArguments, upCommand } from './up.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-up-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

interface Run {
  stop: AbortController;
  /** The status that the command ended with. */
  status: Promise<number | undefined>;
}

/** Runs `up` with a program of the test in the standalone's place. */
function up(source: string, args: string[]): Run {
  const standalone = join(directory, 'standalone.mjs');
  writeFileSync(standalone, source);
  const stop = new AbortController();
  const quiet = { write: () => true };
  let status: number | undefined;
  const context: CommandContext = {
    output: createOutput(quiet, quiet, true),
    environment: readEnvironment({}),
    signal: stop.signal,
    finish: (code) => (status = code),
    takeTimeToStop: () => {},
  };
  const program = new Command('tidemark').enablePositionalOptions().option('--json');
  program.addCommand(upCommand(context, standalone));
  return { stop, status: program.parseAsync(args, { from: 'user' }).then(() => status) };
}

const report = () => join(directory, 'report');

describe('up', () => {
  it('passes its options on as they are, and the exit status back', async () => {
    const source = `import { writeFileSync } from 'node:fs';
      writeFileSync(${JSON.stringify(report())}, JSON.stringify(process.argv.slice(2)));
      process.exit(23);`;
    await expect(up(source, ['up', '--demo', '--port', '0', '--help']).status).resolves.toBe(23);
    expect(JSON.parse(readFileSync(report(), 'utf8'))).toEqual(['--demo', '--port', '0', '--help']);
  });

  it('asks the standalone for JSON lines in its own words', () => {
    expect(standaloneArguments(['--demo', '--json'], false)).toEqual(['--demo', '--set', 'log.format=json']);
    expect(standaloneArguments(['--demo'], true)).toEqual(['--demo', '--set', 'log.format=json']);
    expect(standaloneArguments(['--demo'], false)).toEqual(['--demo']);
  });

  it('passes SIGTERM on, waits for the drain, and gives its status', async () => {
    const source = `import { writeFileSync } from 'node:fs';
      process.on('SIGTERM', () => setTimeout(() => process.exit(7), 100));
      setInterval(() => {}, 1000);
      writeFileSync(${JSON.stringify(report())}, 'ready');`;
    const { stop, status } = up(source, ['up']);
    await vi.waitFor(() => expect(readFileSync(report(), 'utf8')).toBe('ready'), { timeout: 20_000 });
    stop.abort('SIGTERM');
    await expect(status).resolves.toBe(7);
  });

  it('ends as a shell would when a signal ended the standalone', async () => {
    await expect(up('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);', ['up']).status).resolves.toBe(
      137,
    );
  });

  it('says what to run when the standalone is not built', async () => {
    const program = new Command('tidemark').enablePositionalOptions();
    const context = { takeTimeToStop: () => {}, finish: () => {} } as unknown as CommandContext;
    program.addCommand(upCommand(context, join(directory, 'nowhere.mjs')));
    await expect(program.parseAsync(['up'], { from: 'user' })).rejects.toMatchObject({
      exit: Exit.NotFound,
      hint: expect.stringContaining('npm run setup') as string,
    });
  });
});
