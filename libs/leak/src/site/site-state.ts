import type { LeakState } from '@tidemark/contracts';
import type { SiteJudgement } from './site-judge.js';
import type { SiteProfile } from './site-profile.js';
import type { SiteRecord } from './site-record.js';

/** Moves the record to the state that the judgement asks for, held back by hysteresis while the process runs. */
export function advanceState(
  record: SiteRecord,
  judgement: SiteJudgement,
  profile: SiteProfile,
  { at, ended }: { at: number; ended: boolean },
): void {
  note(record, judgement, at);
  const next = ended
    ? finalState(record, judgement, profile)
    : judgement.life < profile.learn
      ? 'LEARNING'
      : nextState(record, judgement, profile, at);
  record.evaluatedAt = at;
  if (next === record.state) return;
  record.state = next;
  record.changedAt = at;
}

function note(record: SiteRecord, { signal }: SiteJudgement, at: number): void {
  if (signal === 'leaking') {
    if (Number.isNaN(record.leakingSince)) record.leakingSince = at;
  }
  if (signal === 'leaking' || signal === 'growing') {
    record.quiet = 0;
    record.quietSince = NaN;
    return;
  }
  if (record.quiet++ === 0) record.quietSince = at;
}

const isSuspect = (state: LeakState): boolean => state === 'SUSPECTED' || state === 'CONFIRMED';

/** Nothing more will come: what stands is the verdict. */
function finalState(record: SiteRecord, judgement: SiteJudgement, profile: SiteProfile): LeakState {
  switch (judgement.signal) {
    case 'leaking':
      return record.state === 'CONFIRMED' || isPlain(judgement, profile) ? 'CONFIRMED' : 'SUSPECTED';
    case 'growing':
      return isSuspect(record.state) ? record.state : 'GROWING';
    case 'saturating':
      return 'SATURATING';
    default:
      return isSuspect(record.state) ? 'CLEARED' : 'STABLE';
  }
}

/** Many blocks of many ages. */
function isPlain({ shape }: SiteJudgement, { confirm }: SiteProfile): boolean {
  return shape.blocks >= confirm.blocks && shape.generations >= confirm.generations;
}

function nextState(record: SiteRecord, judgement: SiteJudgement, profile: SiteProfile, at: number): LeakState {
  const { state } = record;
  if (judgement.signal === 'leaking') {
    if (state === 'CLEARED' && at - record.leakingSince < profile.clear.held) return state;
    if (state === 'CONFIRMED' || isConfirmed(record, judgement, profile, at)) return 'CONFIRMED';
    return 'SUSPECTED';
  }
  if (judgement.signal === 'growing') return isSuspect(state) || state === 'CLEARED' ? state : 'GROWING';
  return settle(record, judgement, profile, at);
}

function isConfirmed(record: SiteRecord, judgement: SiteJudgement, { confirm }: SiteProfile, at: number): boolean {
  return (
    record.state === 'SUSPECTED' &&
    judgement.life >= confirm.life &&
    at - record.leakingSince >= confirm.held &&
    judgement.trend !== undefined &&
    judgement.shape.blocks >= (record.sampled ? confirm.blocks / 4 : confirm.blocks)
  );
}

/** Without evidence: suspicion goes after some evaluations in a row over some time, sooner when the memory came back. */
function settle(record: SiteRecord, judgement: SiteJudgement, { clear }: SiteProfile, at: number): LeakState {
  const { state, quiet, quietSince } = record;
  const rest = judgement.signal === 'saturating' ? 'SATURATING' : 'STABLE';
  if (state === 'LEARNING' || state === 'STABLE') return 'STABLE';
  const lasting = quiet >= clear.evaluations && at - quietSince >= Math.max(clear.held, clear.share * judgement.life);
  const cameBack = record.liveBytes <= (1 - clear.fall) * record.peakBytes;
  if (!lasting && !(cameBack && quiet >= clear.evaluations)) return state;
  record.leakingSince = NaN;
  if (state === 'GROWING' || state === 'SATURATING') return rest;
  if (state === 'CLEARED') return at - record.changedAt >= clear.rearm ? 'STABLE' : state;
  return state === 'SUSPECTED' && rest === 'SATURATING' ? rest : 'CLEARED';
}
