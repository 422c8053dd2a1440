import type { Health } from '@tidemark/service';

/** A running stage of the pipeline. Every `start…` of this library gives one. */
export interface Stage {
  /** Resolves when the stage does its work; rejects when it cannot start. */
  readonly ready: Promise<void>;
  /** Takes nothing new, finishes what it has, gives up at the deadline. Safe to call twice. */
  drain(deadlineMs: number): Promise<void>;
  health(): Health;
}
