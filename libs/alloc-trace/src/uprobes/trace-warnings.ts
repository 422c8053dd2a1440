import type { RunningTrace } from './run-trace.js';

export interface TraceConditions {
  ended: 'gone' | 'replaced' | null;
  lost: number;
  dormant: boolean;
  /** Shares of the time in which allocations, and in which frees, were watched. */
  watched: number;
  covered: number;
  /** Seconds. */
  elapsed: number;
}

/** Below this share a gap is worth telling: setting up alone takes some time. */
const WHOLE = 0.98;

const percent = (share: number): string => `${(share * 100).toPrecision(2)} %`;

/** One sentence each for a person. */
export function warningsOf({ ledger, sites, control, maxBlocks }: RunningTrace, is: TraceConditions): string[] {
  const { report } = control;
  const warnings: string[] = [];
  const say = (when: boolean, text: string): void => void (when && warnings.push(text));
  const settled = is.elapsed > 2 && !is.dormant;
  say(
    settled && is.watched < WHOLE,
    `The process allocates too often to be watched all the time: allocations were seen ${percent(is.watched)} of it, in ` +
      `${report.windows} windows, and the figures are estimates from these.`,
  );
  say(
    settled && is.covered < WHOLE,
    `Frees were seen ${percent(is.covered)} of the time: what was freed unseen counts as live until its address is used ` +
      'again, so live figures are upper bounds.',
  );
  say(report.cut > 0, `${report.cut} windows cost more than planned and were cut short.`);
  say(is.lost > 0, `${is.lost} events were lost for want of room; ${report.lossy} windows ended there.`);
  say(
    ledger.counts.noRoom > 0,
    `${ledger.counts.noRoom} allocations found no room among the ${maxBlocks} blocks that are kept, and are not live here.`,
  );
  say(sites.overflowed > 0, `${sites.overflowed} allocations had stacks beyond the bound of sites and share one site.`);
  say(is.ended === 'replaced', 'The process executed another program: the trace ended there, and with it every block.');
  return warnings;
}
