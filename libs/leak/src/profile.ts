const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;

/** One ring of block minima. */
export interface RingProfile {
  /** Length of a block, ms; each ring's must be a multiple of the one before it. */
  block: number;
  /** Blocks kept. */
  capacity: number;
  /** Evaluate after this many closed blocks (every block while exhaustion is near). */
  every: number;
  /** Test only when the CUSUM gate is armed; for rings fine enough to be evaluated often. */
  gated: boolean;
}

/**
 * Every threshold of the detector. Durations are milliseconds, sizes bytes, the rest ratios or counts.
 * docs/leak.md has the table with the reason for each.
 */
export interface DetectorProfile {
  name: string;
  rings: readonly RingProfile[];
  /** Blocks a window needs before it is tested. */
  minimumBlocks: number;
  /** Troughs that a sawtooth's floor needs. */
  minimumTroughs: number;
  /** A last value holds for this long: an unchanged process repeats itself at least this often. */
  carry: number;
  /** A forward step of time longer than this waits for a second reading that agrees. */
  jump: number;
  /** Time itself was set back when this many readings in a row, over at least `rewindSpan`, lie before the newest. */
  rewindCount: number;
  rewindSpan: number;
  gate: { minimum: number; maximum: number; plateauFactor: number };
  epoch: { drop: number; held: number };
  cusum: { slack: number; threshold: number; cap: number; sigmaFloor: number };
  growing: { z: number; bytes: number; limitShare: number; sigmas: number; passes: number; failures: number };
  suspected: {
    heldMinimum: number;
    heldMaximum: number;
    /** When nothing bounds it. */
    heldUnbounded: number;
    exhaustionShare: number;
    /** Collections from `fewCycles` on make a sawtooth, and a sawtooth's floor needs `cycles` of them. */
    fewCycles: number;
    cycles: number;
    tail: number;
    records: number;
    stepShare: number;
    steps: number;
    bytes: number;
    limitShare: number;
    /** A saturating curve beats the line when BIC prefers it by more than this and the tail is flatter than `bend`. */
    bic: number;
    bend: number;
    /** A window shorter than this must also exceed whatever the process reached in the time before it. */
    recall: number;
  };
  weak: { tail: number; z: number; evaluations: number };
  confirmed: {
    held: number;
    /** Growth that is not urgent must have been seen for this long, at least and at most… */
    spanMinimum: number;
    spanMaximum: number;
    /** …and in between for this share of the time to exhaustion. */
    spanShare: number;
    /** Growth of the window's second half over that of its first: steps that come ever more rarely stay below. */
    halves: number;
    exhaustion: number;
    records: number;
    limitShare: number;
    instances: number;
    instanceSpread: number;
    epochs: number;
  };
  cleared: { slopeShare: number; held: number; fall: number; rearm: number; z: number };
  imminent: { exhaustion: number; leave: number; points: number; failures: number };
  /** Evaluate the finest ring at each block when exhaustion is nearer than this. */
  urgent: number;
  service: {
    epochs: number;
    services: number;
    minimumEpochs: number;
    z: number;
    clearedZ: number;
    exhaustions: number;
    shortLife: number;
    duty: number;
    retention: number;
  };
}

/** For real hosts: research/leak-detection A4, with the departures that docs/leak.md explains. */
export const PRODUCTION_PROFILE: DetectorProfile = {
  name: 'production',
  rings: [
    { block: MINUTE, capacity: 60, every: 5, gated: true },
    { block: 5 * MINUTE, capacity: 72, every: 1, gated: true },
    { block: HOUR, capacity: 72, every: 1, gated: false },
    { block: 6 * HOUR, capacity: 56, every: 1, gated: false },
  ],
  minimumBlocks: 12,
  minimumTroughs: 8,
  carry: 75 * SECOND,
  jump: 10 * MINUTE,
  rewindCount: 10,
  rewindSpan: 30 * MINUTE,
  gate: { minimum: 15 * MINUTE, maximum: 4 * HOUR, plateauFactor: 1.5 },
  epoch: { drop: 0.5, held: 5 * MINUTE },
  cusum: { slack: 0.5, threshold: 8, cap: 4, sigmaFloor: 64 * 1024 },
  growing: { z: 3, bytes: 16 * MIB, limitShare: 0.02, sigmas: 4, passes: 3, failures: 3 },
  suspected: {
    heldMinimum: 12 * MINUTE,
    heldMaximum: 6 * HOUR,
    heldUnbounded: HOUR,
    exhaustionShare: 0.25,
    fewCycles: 3,
    cycles: 8,
    tail: 0.4,
    records: 0.6,
    stepShare: 0.7,
    steps: 3,
    bytes: 50 * MIB,
    limitShare: 0.05,
    bic: 6,
    bend: 0.8,
    recall: 26 * HOUR,
  },
  weak: { tail: 0.25, z: 1.5, evaluations: 6 },
  confirmed: {
    held: 3 * HOUR,
    spanMinimum: 26 * HOUR,
    spanMaximum: 50 * HOUR,
    spanShare: 0.2,
    exhaustion: 6 * HOUR,
    records: 0.8,
    limitShare: 0.7,
    halves: 0.5,
    instances: 2,
    instanceSpread: HOUR,
    epochs: 3,
  },
  cleared: { slopeShare: 0.25, held: 2 * HOUR, fall: 0.5, rearm: 24 * HOUR, z: 5 },
  imminent: { exhaustion: 15 * MINUTE, leave: 30 * MINUTE, points: 10, failures: 5 },
  urgent: 2 * HOUR,
  service: {
    epochs: 64,
    services: 10_000,
    minimumEpochs: 3,
    z: 3,
    clearedZ: 1.5,
    exhaustions: 3,
    shortLife: 2 * HOUR,
    duty: 0.8,
    retention: 30 * 24 * HOUR,
  },
};

/** Production thirty times faster, with thresholds of megabytes: for a demonstration and for short recordings. */
export const DEMO_PROFILE: DetectorProfile = {
  ...PRODUCTION_PROFILE,
  name: 'demo',
  rings: [
    { block: 2 * SECOND, capacity: 60, every: 1, gated: true },
    { block: 10 * SECOND, capacity: 72, every: 1, gated: true },
    { block: 2 * MINUTE, capacity: 72, every: 1, gated: false },
    { block: 12 * MINUTE, capacity: 56, every: 1, gated: false },
  ],
  rewindSpan: MINUTE,
  gate: { minimum: 30 * SECOND, maximum: 8 * MINUTE, plateauFactor: 1.5 },
  epoch: { drop: 0.5, held: 10 * SECOND },
  growing: { z: 3, bytes: 4 * MIB, limitShare: 0, sigmas: 4, passes: 3, failures: 3 },
  suspected: {
    ...PRODUCTION_PROFILE.suspected,
    heldMinimum: 24 * SECOND,
    heldMaximum: 30 * SECOND,
    heldUnbounded: 30 * SECOND,
    bytes: 24 * MIB,
    limitShare: 0,
    recall: 52 * MINUTE,
  },
  confirmed: {
    ...PRODUCTION_PROFILE.confirmed,
    held: 2 * MINUTE,
    spanMinimum: 4 * MINUTE,
    spanMaximum: 8 * MINUTE,
    exhaustion: 12 * MINUTE,
    instanceSpread: 2 * MINUTE,
  },
  cleared: { slopeShare: 0.25, held: MINUTE, fall: 0.5, rearm: 10 * MINUTE, z: 5 },
  imminent: { exhaustion: MINUTE, leave: 2 * MINUTE, points: 10, failures: 5 },
  urgent: 4 * MINUTE,
  service: { ...PRODUCTION_PROFILE.service, shortLife: 4 * MINUTE, retention: 24 * HOUR },
};
