import { closeSync, openSync, writeFileSync } from 'node:fs';
import { collapsedStacks, encodePprof, flameGraph, type TraceProfile } from '@tidemark/alloc-trace';
import type { TraceOptions } from '../commands/trace.js';
import { CliError, Exit } from '../exit-codes.js';
import type { Output } from '../terminal/output.js';
import { printableJson } from '../terminal/printable.js';
import { paint } from '../terminal/style.js';
import { reportJson } from './report-json.js';
import { reportText } from './report-text.js';
import type { TraceReport } from './trace-report.js';

export interface ReportOutputs {
  /** Writes the report of the process, and of its children, everywhere that was asked for. */
  write(own: TraceReport, children: readonly TraceReport[]): Promise<void>;
}

/**
 * Opens the files that the options name, so that one that cannot be written is told before the program runs. Without a
 * file the report goes to standard output, or to standard error when that is the traced program's.
 */
export function openOutputs(output: Output, options: TraceOptions, stdoutIsTheirs: boolean): ReportOutputs {
  const open = (path: string | undefined, option: string): number | undefined =>
    path === undefined ? undefined : openFile(path, option);
  const report = open(options.output, '--output');
  const flame = open(options.flamegraph, '--flamegraph');
  const pprof = open(options.pprof, '--pprof');
  const collapsed = open(options.collapsed, '--collapsed');
  return {
    async write(own, children) {
      const profile = profileOf(own);
      if (flame !== undefined) finish(flame, flameGraph(profile));
      if (pprof !== undefined) finish(pprof, await encodePprof(profile));
      if (collapsed !== undefined) finish(collapsed, collapsedStacks(profile));
      writeReport(own, children);
    },
  };

  function writeReport(own: TraceReport, children: readonly TraceReport[]): void {
    const whole = [own, ...children];
    if (options.json) {
      const value = children.length > 0 ? { ...reportJson(own), children: children.map(reportJson) } : reportJson(own);
      if (report !== undefined) finish(report, `${printableJson(value, 2)}\n`);
      else if (stdoutIsTheirs) output.aside(`${printableJson(value)}\n`);
      else output.json(value);
      return;
    }
    const width = report === undefined ? (stdoutIsTheirs ? output.asideWidth : output.width) : Infinity;
    const lines = whole.flatMap((each, index) => [
      ...(index > 0 ? [[], []] : []),
      ...reportText(each, { width, top: options.top, folder: process.cwd() }),
    ]);
    if (report !== undefined) finish(report, lines.map((line) => `${paint(line, false)}\n`).join(''));
    else if (stdoutIsTheirs) output.asideLines([[], ...lines]);
    else output.lines(lines);
  }
}

function profileOf(report: TraceReport): TraceProfile {
  return {
    process: { pid: report.pid, program: report.program },
    mode: report.mode,
    sampleInterval: report.sampleInterval,
    startedAt: report.startedAt,
    durationMs: report.endedAt - report.startedAt,
    totals: report.totals,
    sites: report.sites.map(({ figures, frames, truncated, verdict }) => ({
      figures,
      stack: { site: figures.site, frames, truncated },
      verdict: verdict.state,
    })),
  };
}

function openFile(path: string, option: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new CliError(Exit.NotFound, `${option} ${path} cannot be written: ${(error as Error).message}`, undefined, {
      cause: error,
    });
  }
}

function finish(file: number, content: string | Uint8Array): void {
  writeFileSync(file, content);
  closeSync(file);
}
