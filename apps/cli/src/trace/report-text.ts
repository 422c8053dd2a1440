import { BIRTH_BINS, type LeakState, type StackFrame } from '@tidemark/contracts';
import { formatBytes, formatBytesShort, formatCount, formatGrowth, formatShare } from '../terminal/figures.js';
import { truncate } from '../terminal/printable.js';
import { span, type Line, type Style } from '../terminal/style.js';
import { renderTable, type Column } from '../terminal/table.js';
import { baseName, explainedShare, framePlace, isLeaking, type ReportSite, type TraceReport } from './trace-report.js';

export interface TextOptions {
  /** Columns of the terminal; Infinity where nothing may be cut. */
  width: number;
  /** Sites in the table, and with their stacks below it. */
  top: number;
  /** Source files below it are named from there. */
  folder: string;
}

const STYLES: Readonly<Record<LeakState, Style>> = {
  LEARNING: 'dim',
  STABLE: 'good',
  GROWING: 'warning',
  SUSPECTED: 'danger',
  CONFIRMED: 'alarm',
  CLEARED: 'good',
  SATURATING: 'warning',
};
const LABEL = 15;
/** So many sites at least are told apart by where they are. */
const TOLD_APART = 50;
/** A command line can be a program of its own. */
const MAX_COMMAND = 80;
/** Names of templates fill pages; --json has them whole. */
const MAX_NAME = 110;
/** Stacks below the table: leaking sites always, of the others as many as make it this many. */
const STACKS = 5;

/** The report for a person: what happened, which sites leak, each with its stack, and what was not seen. */
export function reportText(report: TraceReport, options: TextOptions): Line[] {
  const shown = report.sites.filter((site) => isLeaking(site) || site.figures.liveBytes > 0).slice(0, options.top);
  const leaking = report.sites.filter(isLeaking);
  const detailed = shown.filter((site, index) => isLeaking(site) || index < STACKS);
  return [
    headLine(report),
    [],
    ...summary(report, leaking),
    ...(shown.length === 0
      ? []
      : [[], ...siteTable(shown, report.sites.slice(0, Math.max(options.top, TOLD_APART)), options.width)]),
    ...omitted(report, shown.length),
    ...detailed.flatMap((site) => [[], ...siteBlock(report, site, shown.indexOf(site) + 1, options.folder)]),
  ];
}

function headLine(report: TraceReport): Line {
  const parts = [
    `pid ${report.pid}`,
    modeText(report),
    `${((report.endedAt - report.startedAt) / 1000).toFixed(1)} s`,
    endText(report),
  ];
  return [span(truncate(report.command, MAX_COMMAND), 'strong'), span(`  ${parts.join(' · ')}`, 'dim')];
}

function modeText({ mode, means, sampleInterval }: TraceReport): string {
  if (means === 'UPROBES') return 'sampled windows (uprobes)';
  if (mode === 'EXACT') return 'every call';
  return `sampled, one in ${sampleInterval === null ? '?' : formatBytes(sampleInterval)}`;
}

function endText({ end }: TraceReport): string {
  if (end === null) return 'still running';
  return end.signal === null ? `exit status ${end.code ?? '?'}` : `ended by ${end.signal}`;
}

function summary(report: TraceReport, leaking: readonly ReportSite[]): Line[] {
  const { totals } = report;
  const about = totals.standardError === null ? '' : 'about ';
  const error = (value: number): string => (totals.standardError === null ? '' : ` ± ${formatBytes(value)}`);
  const freed = formatShare(totals.freedBytes, totals.allocatedBytes);
  return [
    labelled('Verdict', verdictLine(report, leaking)),
    labelled('Allocated', [
      span(`${about}${formatBytes(totals.allocatedBytes)}${error(totals.standardError?.allocatedBytes ?? 0)}`),
      span(` in ${formatCount(totals.allocations)} allocations; ${freed} of it freed`),
    ]),
    labelled(report.end === null ? 'Live' : 'Live at end', [
      span(`${about}${formatBytes(totals.liveBytes)}${error(totals.standardError?.liveBytes ?? 0)}`, 'strong'),
      span(` in ${formatCount(totals.liveCount)} blocks`),
    ]),
    labelled('Explained', explainedLine(report)),
    labelled('Lost', lossLine(report)),
    ...report.warnings.map((warning) => labelled('Note', [span(warning, 'warning')])),
  ];
}

function labelled(label: string, line: Line): Line {
  return [span(label.padEnd(LABEL), 'heading'), ...line];
}

function verdictLine({ sites }: TraceReport, leaking: readonly ReportSite[]): Line {
  if (leaking.length === 0) return [span(`no leak seen among ${count(sites.length, 'site')}`, 'good')];
  const bytes = leaking.reduce((sum, { figures }) => sum + figures.liveBytes, 0);
  const blocks = leaking.reduce((sum, { figures }) => sum + figures.liveCount, 0);
  return [
    span(`${leaking.length} of ${count(sites.length, 'site')} ${leaking.length === 1 ? 'leaks' : 'leak'}`, 'danger'),
    span(`: ${formatBytes(bytes)} in ${count(blocks, 'block')} never freed`),
  ];
}

function explainedLine(report: TraceReport): Line {
  const share = explainedShare(report);
  if (share === null) return [span('unknown: the process was gone before its memory could be read', 'dim')];
  const { anonymous = 0, live = 0 } = report.memory ?? {};
  const rest = Math.max(0, anonymous - live);
  const line: Line = [
    span(`${formatShare(share, 1)} of ${formatBytes(anonymous)} anonymous memory is live heap seen here`),
  ];
  const much = share < 0.5 && rest > 16 * 1024 * 1024;
  return much
    ? [...line, span(`; ${formatBytes(rest)} is not: blocks from before, stacks, the allocator’s own`, 'warning')]
    : line;
}

function lossLine({ totals }: TraceReport): Line {
  const sum = `${formatCount(totals.issued)} calls = ${formatCount(totals.cancelled)} cancelled + ${formatCount(totals.recorded)} recorded + ${formatCount(totals.dropped)} dropped`;
  return totals.dropped === 0
    ? [span('nothing', 'good'), span(`: ${sum}`, 'dim')]
    : [span(count(totals.dropped, 'call'), 'danger'), span(`: ${sum}`, 'dim')];
}

function siteTable(sites: readonly ReportSite[], among: readonly ReportSite[], width: number): Line[] {
  const columns: Column<ReportSite>[] = [
    { title: '#', align: 'right', cell: (site) => String(sites.indexOf(site) + 1) },
    { title: 'VERDICT', cell: ({ verdict }) => ({ text: verdict.state, style: STYLES[verdict.state] }) },
    { title: 'LIVE', align: 'right', cell: ({ figures }) => formatBytesShort(figures.liveBytes) },
    { title: 'BLOCKS', align: 'right', cell: ({ figures }) => formatCount(figures.liveCount), priority: 5 },
    {
      title: 'ALLOCATED',
      align: 'right',
      cell: ({ figures }) => formatBytesShort(figures.allocatedBytes),
      priority: 4,
    },
    {
      title: 'FREED',
      align: 'right',
      cell: ({ figures }) => formatShare(figures.frees, figures.allocations),
      priority: 3,
    },
    { title: 'PER HOUR', align: 'right', cell: ({ verdict }) => formatGrowth(verdict.bytesPerHour), priority: 6 },
    { title: 'AGES', align: 'right', cell: ({ verdict }) => `${verdict.generations}/${BIRTH_BINS}`, priority: 2 },
    { title: 'WHERE', cell: (site) => where(site, among), flexible: true, maxWidth: 200 },
  ];
  return renderTable(columns, sites, { width });
}

/**
 * Where a site is: the frame that allocates, after the innermost one that no other site of the table has in its place, so
 * that the callers behind a shared wrapper can be told apart.
 */
function where(site: ReportSite, sites: readonly ReportSite[]): string {
  const [first] = site.frames;
  if (first === undefined) return 'unknown';
  const own = site.frames.find((_, depth) => sites.every((other) => other === site || !sameFrames(site, other, depth)));
  const text = `${first.function ?? framePlace(first)}${sourceOf(first)}`;
  return own === undefined || own === first
    ? text
    : `${own.function ?? framePlace(own)}${sourceOf(own)} › ${first.function ?? framePlace(first)}`;
}

/** Whether two stacks are the same down to `depth`. */
function sameFrames(a: ReportSite, b: ReportSite, depth: number): boolean {
  for (let at = 0; at <= depth; at++) {
    const [left, right] = [a.frames[at], b.frames[at]];
    if (left === undefined || right === undefined) return false;
    if (left.offset !== right.offset || left.module !== right.module) return false;
  }
  return true;
}

function sourceOf(frame: StackFrame): string {
  if (frame.file === null || frame.function === null) return '';
  return ` ${baseName(frame.file)}${frame.line === null ? '' : `:${frame.line}`}`;
}

function omitted({ sites }: TraceReport, shown: number): Line[] {
  const rest = sites.slice(shown);
  if (rest.length === 0) return [];
  const bytes = rest.reduce((sum, { figures }) => sum + figures.liveBytes, 0);
  return [[span(`   ${count(rest.length, 'more site')} with ${formatBytes(bytes)} live (--top N shows more)`, 'dim')]];
}

function siteBlock(report: TraceReport, site: ReportSite, number: number, folder: string): Line[] {
  const { figures, verdict } = site;
  const blocks = `${formatBytes(figures.liveBytes)} in ${count(figures.liveCount, 'block')}`;
  return [
    [
      span(`Site ${number}`, 'heading'),
      span('  '),
      span(verdict.state, STYLES[verdict.state]),
      span(`  ${blocks}`, 'strong'),
    ],
    [span(`    ${verdict.message}`)],
    ...frameLines(site, report, folder),
    ...survivorLine(report, site),
  ];
}

/** What calls `main` and what threads start in: the same below every stack. */
const STARTERS = /^(__libc_start_call_main|__libc_start_main(@.*)?|_start|start_thread|__?clone3?|__GI___clone3?)$/;

function frameLines({ frames, truncated }: ReportSite, report: TraceReport, folder: string): Line[] {
  const last = frames.findLastIndex((frame) => frame.function === null || !STARTERS.test(frame.function));
  const shown = frames.slice(0, last < 0 ? frames.length : last + 1);
  const names = shown.map((frame) => truncate(frame.function ?? '??', MAX_NAME));
  const width = Math.min(48, Math.max(8, ...names.map((name) => name.length)));
  const lines = shown.map((frame, index): Line => {
    const foreign = frame.file !== null && frame.module !== null && baseName(frame.module) !== report.program;
    return [
      span('    '),
      span((names[index] ?? '').padEnd(width), frame.function === null ? 'dim' : 'plain'),
      span(`  ${nearPlace(frame, folder)}`, frame.file === null ? 'dim' : 'accent'),
      ...(frame.inlined ? [span('  inlined', 'dim')] : []),
      ...(foreign ? [span(`  ${baseName(frame.module ?? '')}`, 'dim')] : []),
    ];
  });
  return truncated ? [...lines, [span('    … the stack goes on', 'dim')]] : lines;
}

/** A place below the working directory as a person there would type it. */
function nearPlace(frame: StackFrame, folder: string): string {
  const place = framePlace(frame);
  return place.startsWith(`${folder}/`) ? place.slice(folder.length + 1) : place;
}

function survivorLine(report: TraceReport, { survivors }: ReportSite): Line[] {
  const [oldest] = survivors;
  const newest = survivors.at(-1);
  if (oldest === undefined || newest === undefined) return [];
  const age = (time: number): string => `${Math.max(0, (report.endedAt - time) / 1000).toFixed(1)} s`;
  const largest = survivors.reduce((most, survivor) => (survivor.size > most.size ? survivor : most), oldest);
  const ages = survivors.length === 1 ? `${age(oldest.time)} old` : `${age(newest.time)} to ${age(oldest.time)} old`;
  return [
    [
      span(
        `    ${ages}; oldest ${formatCount(oldest.size)} bytes at 0x${oldest.address.toString(16)}, ` +
          `largest ${formatCount(largest.size)} bytes at 0x${largest.address.toString(16)}`,
        'dim',
      ),
    ],
  ];
}

function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${Math.round(number) === 1 ? '' : 's'}`;
}
