import { BIRTH_BINS } from '@tidemark/contracts';

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
    /** Empty stretches of the site's life before the first and after the last birth that any leak may have. */
    head: number;
    tail: number;
    /** A longer one may still be chance: not when less likely than this. */
    chance: number;
    /** Share of its life over which the births of survivors stretch. */
    span: number;
    /** Share of the bins that as many births spread evenly would have filled. */
    coverage: number;
    /** Density of births in the last third, and in the middle third, over that of the fullest third. */
    lastThird: number;
    middleThird: number;
  };
  growth: {
    /** Points of the live figures before their trend counts, and over how long. */
    points: number;
    window: number;
    z: number;
    /** Growth over the window, as a share of the level at its end. */
    share: number;
    /** Slope of the last third over that of all: below it the growth is over. */
    tail: number;
    /** Share of points that are a new high. */
    records: number;
    /** Growth over the window, in standard errors of the sampled figure. */
    errors: number;
  };
  /** Of the blocks that got old, share freed after all: from here on the site is not a leak by its ages alone. */
  oldFreeRate: number;
  /** Life before anything but LEARNING is said of a running process. */
  learn: number;
  confirm: { life: number; held: number; blocks: number };
  /** Evaluations in a row, and time, without evidence before a suspicion is dropped. */
  clear: { evaluations: number; held: number; fall: number };
  /** No slope is given for a life shorter than this. */
  slopeLife: number;
}

export const SITE_PROFILE: SiteProfile = {
  name: 'sites',
  sites: 32_768,
  blocks: { exact: 8, sampled: 4 },
  ages: {
    generations: Math.ceil(BIRTH_BINS / 7),
    ...{ head: 0.125, tail: 0.25, chance: 0.001, span: 0.5, coverage: 0.25, lastThird: 0.3, middleThird: 0.15 },
  },
  growth: { points: 12, window: 2 * MINUTE, z: 3, share: 0.2, tail: 0.35, records: 0.5, errors: 3 },
  oldFreeRate: 0.5,
  learn: 30 * SECOND,
  confirm: { life: 10 * MINUTE, held: 5 * MINUTE, blocks: 32 },
  clear: { evaluations: 3, held: 2 * MINUTE, fall: 0.5 },
  slopeLife: 10 * SECOND,
};
