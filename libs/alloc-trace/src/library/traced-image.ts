import type { TraceMode } from '@tidemark/contracts';
import { TraceError } from '../errors.js';
import { MODE } from '../ring/format.js';
import type { RingState } from '../ring/header.js';
import { createRingReader, type RingReader } from '../ring/ring-reader.js';
import { refusalOf } from '../ring/ring-warnings.js';
import { renewControl, writeControl } from './control.js';
import { closeFound, type FoundRing } from './find-ring.js';
import { createModuleFiles } from './module-file.js';
import type { TraceDeps } from './trace-deps.js';

/** A program image with its ring file, and what was asked of it. */
export interface TracedImage {
  readonly found: FoundRing;
  readonly reader: RingReader;
  /** Switches the mode and waits until the library has seen it; not longer than a second, since it may make no call. */
  ask(wish: Wish): Promise<void>;
  /** Says that somebody looks. */
  renew(): void;
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
  /** Number of the activation that was over when this one was asked for. */
  let over: number | null = null;
  let pulse = reader.state().control.pulse;

  const leaseUntil = (): number => deps.bootTime() + deps.leaseMs;

  const ask = async (wish: Wish): Promise<void> => {
    const state = reader.state();
    if (isDormant(state, deps.bootTime())) over = state.activation;
    pulse = (state.control.pulse + 1) >>> 0;
    const generation = writeControl(file, state.control, { ...wish, leaseUntil: leaseUntil() });
    const refusal = await answer(reader, generation, deps);
    if (refusal !== null && wish.mode !== 'DORMANT') {
      writeControl(file, reader.state().control, { ...wish, mode: 'DORMANT', leaseUntil: leaseUntil() });
      throw new TraceError('TRACE_REFUSED', `process ${options.pid} cannot be traced: ${refusal}`);
    }
  };

  const renew = (): void => {
    pulse = (pulse + 1) >>> 0;
    renewControl(file, pulse, leaseUntil());
  };

  return {
    found,
    reader,
    ask,
    renew,
    isVoid: ({ activation }) => activation === over,
    close: () => closeFound(found),
  };
}

/** Also when nobody renewed the lease: the library went dormant by itself then. */
function isDormant({ control }: RingState, bootTime: number): boolean {
  return control.mode === MODE.DORMANT || (control.leaseUntil > 0 && control.leaseUntil < bootTime);
}

/** Why the library does not do it; null when it does, or says nothing. */
async function answer(reader: RingReader, generation: number, deps: TraceDeps): Promise<string | null> {
  const until = deps.clock() + ANSWER_MS;
  for (;;) {
    const state = reader.state();
    if (state.applied >= generation) return refusalOf(state);
    if (deps.clock() >= until) return null;
    await deps.sleep(LOOK_MS);
  }
}
