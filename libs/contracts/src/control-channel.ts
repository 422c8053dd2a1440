import type { ControlRecord } from './control-record.js';

/** Writes to the control topic. */
export interface ControlSender {
  /** Resolves when the log has the record; of one pid the records keep the order of the calls. */
  send(record: ControlRecord): Promise<void>;
}

/** What the control topic has to say to one node, and the way back. */
export interface ControlChannel extends ControlSender {
  /**
   * Hears every record about the node, from the oldest that the log still has; those of one pid in their order, each when
   * `hear` is done with the one before. Rejects when the topic cannot be read.
   */
  listen(hear: (record: ControlRecord) => void | Promise<void>): Promise<ControlListener>;
}

export interface ControlListener {
  /** Resolves when everything was heard that had been written before the listening began. */
  readonly caughtUp: Promise<void>;
  /** Rejects when nothing will be heard any more; never resolves. */
  readonly failed: Promise<never>;
  /** Hears no more; gives up waiting at the deadline. */
  drain(deadlineMs: number): Promise<void>;
}
