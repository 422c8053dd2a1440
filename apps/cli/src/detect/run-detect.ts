import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { DEMO_PROFILE, PRODUCTION_PROFILE } from '@tidemark/leak';
import { CsvError, parse } from 'csv-parse';
import { CliError, Exit, type ExitCode } from '../exit-codes.js';
import { printable, printableJson } from '../terminal/printable.js';
import { createRowJudge } from './judge-rows.js';
import { readSeriesRow, REQUIRED_COLUMNS, RowError } from './series-row.js';

export interface DetectOptions {
  /** A file's path, or the stream of standard input. */
  input: string | Readable;
  output: Writable;
  /** Takes one line for each row that cannot be used. */
  warn(line: string): void;
  profile: 'production' | 'demo';
  summary: boolean;
  signal?: AbortSignal;
}

/** Longer records are damage; an unclosed quote would otherwise swallow the rest of the file. */
const MAX_RECORD_CHARACTERS = 64 * 1024;
/** After so many complaints the rest is only counted. */
const MAX_WARNINGS = 20;

/**
 * Judges series of memory figures: CSV in, JSON Lines out, in one pass. Rows that cannot be used are named and left
 * out; the exit status then says so. Throws CliError when nothing of the input can be used.
 */
export async function runDetect(options: DetectOptions): Promise<ExitCode> {
  const judge = createRowJudge(options.profile === 'demo' ? DEMO_PROFILE : PRODUCTION_PROFILE);
  const complaints = complainer(options.warn);
  const source = typeof options.input === 'string' ? createReadStream(options.input) : options.input;
  const rows = source.pipe(csvParser(complaints.bad));
  source.on('error', (error: Error) => rows.destroy(error));
  const write = async (line: object): Promise<void> => {
    if (!options.output.write(`${printableJson(line)}\n`)) await once(options.output, 'drain');
  };

  try {
    for await (const { record, info } of rows as AsyncIterable<{
      record: Record<string, string>;
      info: { lines: number };
    }>) {
      options.signal?.throwIfAborted();
      try {
        const change = judge.judge(readSeriesRow(record));
        if (change) await write(change);
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        complaints.bad(`line ${info.lines}: ${error.message}; the row is left out`);
      }
    }
  } catch (error) {
    throw unusable(error, typeof options.input === 'string' ? options.input : 'standard input');
  } finally {
    source.destroy();
  }
  if (options.summary) for (const summary of judge.summaries()) await write(summary);
  if (judge.stale > 0) {
    options.warn(`${rowCount(judge.stale)} not newer than the row before of the same series: left out`);
  }
  complaints.end();
  return complaints.count > 0 ? Exit.BadInput : Exit.Ok;
}

function csvParser(bad: (line: string) => void) {
  return parse({
    bom: true,
    columns: checkHeader,
    info: true,
    trim: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    relax_column_count_more: true,
    max_record_size: MAX_RECORD_CHARACTERS,
    on_skip: (error: CsvError | undefined) => {
      bad(`line ${error?.['lines'] ?? '?'}: ${error?.message.split('\n')[0] ?? 'damaged'}; the row is left out`);
      return undefined;
    },
  });
}

function checkHeader(header: string[]): string[] {
  const names = header.map((name) => name.toLowerCase());
  const missing = REQUIRED_COLUMNS.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    const found = printable(names.join(', ').slice(0, 120));
    throw new CliError(
      Exit.BadInput,
      `the first line must name the columns series, ts and bytes; ${missing.join(' and ')} missing, found ${found}`,
    );
  }
  return names;
}

function complainer(warn: (line: string) => void) {
  let count = 0;
  return {
    bad(line: string): void {
      if (++count <= MAX_WARNINGS) warn(printable(line));
    },
    get count() {
      return count;
    },
    end(): void {
      if (count > MAX_WARNINGS) warn(`${rowCount(count - MAX_WARNINGS)} more like these left out`);
    },
  };
}

function rowCount(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`;
}

function unusable(error: unknown, name: string): unknown {
  if (error instanceof CliError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new CliError(Exit.NotFound, `${name} does not exist`);
  if (error instanceof CsvError) return new CliError(Exit.BadInput, `${name}: ${message.split('\n')[0]}`);
  if (code === 'EACCES' || code === 'EISDIR') return new CliError(Exit.BadInput, `${name} cannot be read: ${message}`);
  return error;
}
