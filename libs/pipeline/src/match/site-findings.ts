import {
  siteId,
  siteSubject,
  type AllocationChunk,
  type Finding,
  type LeakState,
  type SiteFigures,
  type SiteStack,
} from '@tidemark/contracts';
import type { SiteVerdict } from '@tidemark/leak';
import { sizeText } from '../detect/finding-text.js';
import { frameText } from './frame-text.js';

/** Frames of a site that a finding names, and those that its message does. */
const FRAMES = 10;
const CALLERS = 3;
const MAX_MESSAGE = 2_000;
const MAX_FRAME = 1_024;

export function isSuspicion(state: LeakState): boolean {
  return state === 'SUSPECTED' || state === 'CONFIRMED';
}

export interface SiteChange {
  chunk: AllocationChunk;
  figures: SiteFigures;
  stack: SiteStack;
  previous: LeakState;
  verdict: SiteVerdict;
}

/**
 * The finding on a site whose state changed. Its id is made of process, stack and the site's first allocation, so that a
 * look judged twice gives the same record twice and not two findings.
 */
export function siteFinding({ chunk, figures, stack, previous, verdict }: SiteChange): Finding {
  const { key, pid, program, commandLine, node } = chunk;
  const id = siteId(stack.frames);
  const subject = siteSubject(key, id);
  const openedAt = Math.max(0, Math.floor(figures.firstAt));
  const { bytesPerHour, low, high } = verdict;
  const isKnown = [bytesPerHour, low, high].every((value) => value !== null && Number.isFinite(value));
  const window = Math.max(0, Math.round((chunk.at - figures.firstAt) / 1_000));
  return {
    v: 1,
    type: 'finding',
    id: `${subject}@${openedAt}`,
    kind: 'SITE_LEAK',
    subject,
    node,
    process: { key, pid, program, commandLine, user: null },
    service: program,
    site: { id, frames: stack.frames.slice(0, FRAMES).map((frame) => frameText(frame).slice(0, MAX_FRAME)) },
    state: verdict.state,
    previous,
    imminent: false,
    confidence: Math.min(1, Math.max(0, verdict.confidence || 0)),
    openedAt,
    at: Math.max(openedAt, Math.floor(chunk.at)),
    bytes: wholeBytes(figures.liveBytes),
    limit: null,
    growth: isKnown ? { bytesPerHour: bytesPerHour!, low: low!, high: high!, window } : null,
    secondsToExhaustion: null,
    message: siteMessage({ chunk, figures, stack, previous, verdict }).slice(0, MAX_MESSAGE),
    evidence: {
      ...verdict.evidence,
      generations: verdict.generations,
      oldFreeRate: verdict.oldFreeRate,
      liveBytes: figures.liveBytes,
      liveCount: figures.liveCount,
    },
  };
}

/** Frames in which every thread begins: they say nothing about a site. */
const BEGINNINGS = /^(?:_start|__libc_start_\w+|__libc_start_main\S*|start_thread|__?clone3?|clone3)$/;

/** For a person: who, where, called from where, how fast; then why. */
function siteMessage({ chunk, stack, verdict }: SiteChange): string {
  const { program, pid, node, totals } = chunk;
  const [place, ...callers] = stack.frames
    .filter((frame) => frame.function === null || !BEGINNINGS.test(frame.function))
    .map(frameText);
  const from = callers.length === 0 ? '' : `, called from ${callers.slice(0, CALLERS).join(' ← ')}`;
  const at = `${place ?? 'an unknown place'}${from}`;
  const about = totals.standardError === null ? '' : 'about ';
  const rate = verdict.bytesPerHour === null ? '' : `: grows by ${about}${sizeText(verdict.bytesPerHour)}/h`;
  const who = `${program} (pid ${pid}) on ${node}`;
  switch (verdict.state) {
    case 'CONFIRMED':
      return `${who} leaks at ${at}${rate}. ${verdict.message}`;
    case 'SUSPECTED':
      return `${who} is suspected of a leak at ${at}${rate}. ${verdict.message}`;
    default:
      return `${who} no longer leaks at ${at}. ${verdict.message}`;
  }
}

/** Estimates may fall below nothing. */
function wholeBytes(bytes: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(bytes) || 0));
}
