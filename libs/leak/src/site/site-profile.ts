import { SURVIVAL_MS } from '@tidemark/contracts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Every threshold of the site verdicts. Durations are milliseconds, the rest ratios or counts; docs/site-verdicts.md. */
export interface SiteProfile {
  name: string;
  /** Sites kept; of more, those with the fewest live bytes are forgotten. */
  sites: number;
  /** Blocks alive that a site needs before it can be a leak. */
  blocks: { exact: number; sampled: number };
  ages: {
    /** Distinct ages alive that a leak has at least. */
    generations: number;
    /** Empty stretches before the first and after the last birth that any leak may have, shares of the life. */
    head: number;
    tail: number;
    /** A longer one may still be chance: not when less likely than this. */
    chance: number;
    /** Share of its life over which the births of survivors stretch. */
    span: number;
    /** Share of the bins that as many births spread evenly would have filled. */
    coverage: number;
    /** Least density of births in a third: the first over the last, … */
    firstThird: number;
    /** …the first over the last when nothing was ever freed, … */
    rising: number;
    /** …the middle and the last over the fullest. */
    middleThird: number;
    lastThird: number;
    /** Of a program whose sites lived for less than `blink`, where wall time is distorted. */
    blink: number;
    blinkTail: number;
    blinkGenerations: number;
  };
  growth: {
    /** Points of the live figures before their trend counts, and over how long. */
    points: number;
    window: number;
    z: number;
    /** Growth over the window, as a share of the most blocks there were. */
    share: number;
    /** Slope of the last third over that of all: below it the growth is over. */
    tail: number;
    /** Fall from an earlier high, as a share of the range: above it the site drains. */
    fall: number;
    /** Growth over the window, in standard errors of the sampled figure. */
    errors: number;
    /** Trend alone, without even ages, is believed after this long. */
    alone: number;
  };
  freed: {
    /** Share of all blocks freed, below which nothing is. */
    nothing: number;
    /** Of the blocks that got old, share freed after all: from `some` on the trend must bear the ages out, and… */
    some: number;
    /** …from here on the ages prove nothing. */
    most: number;
  };
  /** Life before anything but LEARNING is said of a running process. */
  learn: number;
  /** Least time between two evaluations, and as a share of the life. */
  every: { minimum: number; share: number };
  confirm: { life: number; held: number; blocks: number; generations: number };
  /** Evaluations in a row, and time, without evidence before a suspicion is dropped. */
  clear: { evaluations: number; held: number; share: number; fall: number; rearm: number };
  /** Least time between two points of the live figures. */
  step: number;
  /** No slope is given for a life shorter than this. */
  slopeLife: number;
}

export const SITE_PROFILE: SiteProfile = {
  name: 'sites',
  sites: 32_768,
  blocks: { exact: 8, sampled: 4 },
  ages: {
    ...{ generations: 5, head: 0.125, tail: 0.25, chance: 0.001, span: 0.5, coverage: 0.2 },
    ...{ firstThird: 0.5, rising: 0.1, middleThird: 0.15, lastThird: 0.3 },
    ...{ blink: SECOND, blinkTail: 0.02, blinkGenerations: 3 },
  },
  growth: {
    ...{ points: 12, window: 2 * MINUTE, z: 3, share: 0.2, tail: 0.35, fall: 0.35, errors: 2, alone: 10 * MINUTE },
  },
  freed: { nothing: 0.02, some: 0.1, most: 0.5 },
  learn: 6 * SURVIVAL_MS,
  every: { minimum: 2 * SECOND, share: 1 / 32 },
  confirm: { life: 10 * MINUTE, held: 5 * MINUTE, blocks: 32, generations: 12 },
  clear: { evaluations: 3, held: 2 * MINUTE, share: 0.05, fall: 0.5, rearm: 10 * MINUTE },
  step: SECOND,
  slopeLife: 10 * SECOND,
};
