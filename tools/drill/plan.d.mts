export interface Fault {
  /** Seconds after the load began. */
  at: number;
  seconds: number;
  target: string;
  part: string;
  kind: string;
  /** How a link is cut. */
  how: string | undefined;
}

export const TARGETS: readonly string[];
export const KINDS: readonly string[];
export function planFaults(options: { seed: number; seconds: number; parts: Record<string, string[]> }): Fault[];
