import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { CliError, Exit } from '../exit-codes.js';
import { runDetect } from './run-detect.js';

const MIB = 1024 * 1024;
const START = Date.parse('2026-01-31T12:00:00Z');
const directory = mkdtempSync(join(tmpdir(), 'tidemark-detect-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Line {
  series: string;
  at?: number | string;
  from?: string;
  to?: string;
  state?: string;
  bytesPerHour?: number;
  suspectedAt?: number | string | null;
  clearedAt?: number | string | null;
}

async function detect(
  text: string | Readable,
  options: { summary?: boolean } = {},
): Promise<{ exit: number; lines: Line[]; warnings: string[] }> {
  const warnings: string[] = [];
  let written = '';
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.toString();
      done();
    },
  });
  const exit = await runDetect({
    input: typeof text === 'string' ? Readable.from([text]) : text,
    output,
    warn: (line) => warnings.push(line),
    profile: 'demo',
    summary: options.summary ?? false,
  });
  const lines = written
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
  return { exit, lines, warnings };
}

/** 1 MiB a second beside 2 GiB that stand still, a sample a second. */
function leakAndFlat(seconds: number, time: (ms: number) => string | number = (ms) => ms): string {
  const rows = ['series,ts,bytes'];
  for (let second = 0; second < seconds; second++) {
    const ts = time(START + second * 1000);
    rows.push(`leak,${ts},${(10 + second) * MIB}`, `flat,${ts},${2048 * MIB}`);
  }
  return `${rows.join('\n')}\n`;
}

async function failure(run: Promise<unknown>): Promise<CliError> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CliError)) throw new Error(`expected a CliError, got ${String(error)}`);
  return error;
}

describe('tidemark detect', () => {
  it('suspects what grows by 1 MiB a second and not what holds 2 GiB, at the rate that is true', async () => {
    const { exit, lines, warnings } = await detect(leakAndFlat(240), { summary: true });
    expect(exit).toBe(Exit.Ok);
    expect(warnings).toEqual([]);
    const suspicion = lines.find(({ to }) => to === 'SUSPECTED');
    expect(suspicion?.series).toBe('leak');
    expect(suspicion!.bytesPerHour! / (3600 * MIB)).toBeCloseTo(1, 1);
    expect(lines.find(({ series, suspectedAt }) => series === 'leak' && suspectedAt !== undefined)?.suspectedAt).toBe(
      suspicion?.at,
    );
    expect(lines.at(-1)).toMatchObject({ series: 'flat', state: 'STABLE', suspectedAt: null, clearedAt: null });
    // Each change of a series begins where the one before ended.
    for (const name of ['leak', 'flat']) {
      const changes = lines.filter(({ series, to }) => series === name && to !== undefined);
      changes.slice(1).forEach((change, index) => expect(change.from).toBe(changes[index]!.to));
    }
  });

  it('gives the same answer for ISO times, written back as ISO', async () => {
    const epoch = await detect(leakAndFlat(120));
    const iso = await detect(leakAndFlat(120, (ms) => new Date(ms).toISOString()));
    expect(iso.lines.map(({ at }) => Date.parse(at as string))).toEqual(epoch.lines.map(({ at }) => at));
    expect(iso.lines.map(({ to }) => to)).toEqual(epoch.lines.map(({ to }) => to));
  });

  it('takes times without a zone as UTC', async () => {
    const bare = await detect(leakAndFlat(120, (ms) => new Date(ms).toISOString().slice(0, 19)));
    const zoned = await detect(leakAndFlat(120, (ms) => new Date(ms).toISOString()));
    expect(bare.lines).toEqual(zoned.lines);
  });

  it('reads quoted fields, a byte order mark, CRLF, columns in any order and ones it does not know', async () => {
    const plain = leakAndFlat(120).trim().split('\n').slice(1);
    const rows = plain.map((row) => {
      const [series, ts, bytes] = row.split(',');
      return `${bytes},"a ""quoted"", ${series}",${ts},ignored`;
    });
    const { exit, lines } = await detect(`\ufeffBytes,Series,TS,other\r\n${rows.join('\r\n')}\r\n`);
    expect(exit).toBe(Exit.Ok);
    expect(lines.find(({ to }) => to === 'SUSPECTED')?.series).toBe('a "quoted", leak');
  });

  it('reads a file', async () => {
    const file = join(directory, 'series.csv');
    writeFileSync(file, leakAndFlat(120));
    const output = new PassThrough();
    const exit = await runDetect({ input: file, output, warn: () => {}, profile: 'demo', summary: false });
    output.end();
    expect(exit).toBe(Exit.Ok);
    expect((await output.toArray()).join('')).toContain('"to":"SUSPECTED"');
  });

  it('names each row that it cannot use, leaves it out, judges the rest and says so in the exit status', async () => {
    const good = leakAndFlat(120).trim().split('\n');
    const bad = ['leak,never,1', 'leak,1,-1', ',1,1', 'leak,2026-13-45,1', 'leak,1,1e400', 'leak,1', 'leak,1,1,2,3'];
    const { exit, lines, warnings } = await detect([good[0], ...bad, ...good.slice(1)].join('\n'));
    expect(exit).toBe(Exit.BadInput);
    expect(lines.some(({ to }) => to === 'SUSPECTED')).toBe(true);
    expect(warnings.map((line) => line.replace(/; the row.*/, '')).sort()).toEqual([
      'line 2: ts must be epoch milliseconds or an ISO 8601 time, found "never"',
      'line 3: bytes must be a number of bytes from 0 to 2^53, found "-1"',
      'line 4: series must be a name, found ""',
      'line 5: ts must be epoch milliseconds or an ISO 8601 time, found "2026-13-45"',
      'line 6: bytes must be a number of bytes from 0 to 2^53, found "1e400"',
      expect.stringContaining('line 7: '),
    ]);
  });

  it('stops complaining after twenty rows and counts the others', async () => {
    const { warnings } = await detect(`series,ts,bytes\n${'a,b,c\n'.repeat(100)}`);
    expect(warnings).toHaveLength(21);
    expect(warnings.at(-1)).toBe('80 rows more like these left out');
  });

  it('leaves out samples that are no newer than the one before, and says how many', async () => {
    const { exit, warnings } = await detect(`series,ts,bytes\na,2000,1\na,1000,1\na,2000,1\na,3000,1\n`);
    expect(exit).toBe(Exit.Ok);
    expect(warnings).toEqual(['2 rows not newer than the row before of the same series: left out']);
  });

  it('refuses input without the columns, naming what is missing', async () => {
    const error = await failure(detect('time,value\n1,2\n'));
    expect(error.exit).toBe(Exit.BadInput);
    expect(error.message).toBe(
      'the first line must name the columns series, ts and bytes; series and ts and bytes missing, found time, value',
    );
  });

  it('refuses a file that is not there', async () => {
    const run = runDetect({
      input: join(directory, 'none.csv'),
      output: new PassThrough(),
      warn: () => {},
      profile: 'demo',
      summary: false,
    });
    expect(await failure(run)).toMatchObject({ exit: Exit.NotFound });
  });

  it('does not swallow a file behind a quote that is never closed', async () => {
    const rest = leakAndFlat(4000).trim().split('\n').slice(1).join('\n');
    const { exit, warnings } = await detect(`series,ts,bytes\n"open,1,1\n${rest}`);
    expect(exit).toBe(Exit.BadInput);
    expect(warnings[0]).toMatch(/^line \d+: .*the row is left out$/);
  });

  it('says nothing of an empty series and accepts a header alone', async () => {
    expect(await detect('series,ts,bytes\n', { summary: true })).toEqual({ exit: Exit.Ok, lines: [], warnings: [] });
  });
});
