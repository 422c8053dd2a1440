import type { Health } from '@tidemark/service';

/** A running stage of the pipeline. Every `start…` of this library gives one. */
export interface Stage {
  /** Resolves when the stage does its work; rejects when it cannot start. */
  readonly ready: Promise<void>;
  /** Takes nothing new, finishes what it has, gives up at the deadline. Safe to call twice. */
  drain(deadlineMs: number): Promise<void>;
  health(): Health;
}

/**
 * How long a stage lets records wait for others, milliseconds: those of many small hosts come together then. Findings are
 * minutes in the making.
 */
export const MAX_WAIT_MS = 200;
