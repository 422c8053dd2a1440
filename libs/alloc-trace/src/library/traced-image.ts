import type { TraceMode } from '@tidemark/contracts';
import { TraceError } from '../errors.js';
import { MAX_FRAMES, MODE, REFUSAL, STATE } from '../ring/format.js';
import type { RingState } from '../ring/header.js';
import { createRingReader, type RingReader } from '../ring/ring-reader.js';
import { refusalOf } from '../ring/ring-warnings.js';
import { DEFAULT_SAMPLE_INTERVAL, isAskedFor, renewLease, writeControl, writePulse } from './control.js';
import { closeFound, type FoundRing } from './find-ring.js';
import { createModuleFiles } from './module-file.js';
import type { TraceDeps } from './trace-deps.js';

/** A program image with its ring file, and what was asked of it. */
export interface TracedImage {
  readonly found: FoundRing;
  readonly reader: RingReader;
  /** Switches the mode and waits until the library has seen it; not longer than a second, since it may make no call. */
  ask(wish: Wish): Promise<void>;
  /** Asks for dormancy, which needs no answer: from its next call on the process takes the short way. */
  goDormant(): void;
  /** Says that somebody looks. */
  renew(): void;
  /** Makes the threads renew their clocks. */
  beat(): void;
  /** Figures that a trace before this one left. */
  isVoid(state: RingState): boolean;
  close(): void;
}

export interface Wish {
  mode: TraceMode;
  sampleInterval: number;
  maxFrames: number;
}

export interface ImageOptions {
  pid: number;
  survivorsPerSite: number;
  maxSurvivors: number;
}

const ANSWER_MS = 1000;
const LOOK_MS = 5;

export function createTracedImage(found: FoundRing, options: ImageOptions, deps: TraceDeps): TracedImage {
  const { file, layout } = found;
  const reader = createRingReader({
    ...deps,
    ...options,
    file,
    layout,
    fileOf: createModuleFiles(deps.procRoot, options.pid),
  });
  let pending: { generation: number; activation: number } | null = null;
  let last: Wish = { mode: 'DORMANT', sampleInterval: DEFAULT_SAMPLE_INTERVAL, maxFrames: MAX_FRAMES };
  let pulse = reader.state().control.pulse;

  const leaseUntil = (): number => deps.bootTime() + deps.leaseMs;

  const goDormant = (): void => {
    const { control } = reader.state();
    writeControl(file, control, control.generation + 1, { ...last, mode: 'DORMANT', leaseUntil: leaseUntil() });
  };

  const beat = (): void => {
    pulse = (pulse + 1) >>> 0;
    writePulse(file, pulse);
  };
  const renew = (): void => {
    renewLease(file, leaseUntil());
    beat();
  };

  const ask = async (wish: Wish): Promise<void> => {
    last = wish;
    if (wish.mode === 'DORMANT') return goDormant();
    const state = reader.state();
    const dormant = isDormant(state, deps.bootTime());
    if (!dormant && isAskedFor(state.control, wish)) {
      // From the environment, or by a reader that was killed: it goes on as it is.
      if (state.applied < state.control.generation) pending = { ...state.control, activation: state.activation };
      return renew();
    }
    const generation = generationAfter(state);
    if (dormant) pending = { generation, activation: state.activation };
    pulse = (state.control.pulse + 1) >>> 0;
    writeControl(file, state.control, generation, { ...wish, leaseUntil: leaseUntil() });
    const refusal = await answer(reader, generation, deps);
    if (refusal === null) return;
    goDormant();
    throw new TraceError('TRACE_REFUSED', `process ${options.pid} cannot be traced: ${refusal}`);
  };

  return {
    found,
    reader,
    ask,
    goDormant,
    renew,
    beat,
    isVoid: (state) => pending !== null && isUnanswered(state, pending),
    close: () => closeFound(found),
  };
}

/**
 * Two requests between which the library was not called must not look like three with a dormant one between: it would begin
 * anew. So a request that is not in force yet is written over.
 */
function generationAfter({ applied, control }: RingState): number {
  const isPending = control.mode !== MODE.DORMANT && applied < control.generation;
  return isPending ? control.generation : control.generation + 1;
}

/** Also when nobody renewed the lease: the library goes dormant by itself then. */
function isDormant({ control }: RingState, bootTime: number): boolean {
  return control.mode === MODE.DORMANT || (control.leaseUntil > 0 && control.leaseUntil < bootTime);
}

/** The number of the activation is written before that of the request; a refused request has none of its own. */
function isUnanswered(state: RingState, pending: { generation: number; activation: number }): boolean {
  if (state.applied < pending.generation) return true;
  return state.refusal !== REFUSAL.NONE && state.activation === pending.activation;
}

/** Why the library does not do it; null when it does, or says nothing. */
async function answer(reader: RingReader, generation: number, deps: TraceDeps): Promise<string | null> {
  const until = deps.clock() + ANSWER_MS;
  for (;;) {
    const state = reader.state();
    if (state.applied >= generation) return refusalOf(state);
    // An image that is over answers no more.
    if (state.state === STATE.EXECED || deps.clock() >= until) return null;
    await deps.sleep(LOOK_MS);
  }
}
