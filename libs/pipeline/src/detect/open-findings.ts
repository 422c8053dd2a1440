import type { Finding, ProcessKey } from '@tidemark/contracts';

/**
 * What was said of a node's processes and not yet taken back. Kept over restarts, so that a finding on a process which
 * ended while nobody looked, by a reboot for one, does not stay open for ever.
 */
export interface OpenFindings {
  /** Takes note of what is about to be written; true when that changes what is open. */
  note(findings: readonly Finding[]): boolean;
  /** Clears the findings on processes that are not alive, once all living ones are known. */
  clearGone(isAlive: (key: ProcessKey) => boolean, at: number): Finding[];
  all(): Finding[];
  /** Takes over what was open before, where nothing is known of it. */
  adopt(before: readonly Finding[]): void;
}

export function createOpenFindings(known: readonly Finding[] = []): OpenFindings {
  const open = new Map(known.map((finding) => [finding.id, finding]));
  return {
    note(findings) {
      for (const finding of findings) {
        if (isOpen(finding)) open.set(finding.id, finding);
        else open.delete(finding.id);
      }
      return findings.length > 0;
    },
    clearGone(isAlive, at) {
      return [...open.values()].flatMap((finding) =>
        finding.process && !isAlive(finding.process.key) ? [cleared(finding, at)] : [],
      );
    },
    all: () => [...open.values()],
    adopt(before) {
      for (const finding of before) if (!open.has(finding.id)) open.set(finding.id, finding);
    },
  };
}

function isOpen({ kind, state, imminent }: Finding): boolean {
  return kind === 'PROCESS_LEAK' && (imminent || state === 'GROWING' || state === 'SUSPECTED' || state === 'CONFIRMED');
}

function cleared(finding: Finding, at: number): Finding {
  const { program, pid } = finding.process!;
  return {
    ...finding,
    state: 'CLEARED',
    previous: finding.state,
    imminent: false,
    at: Math.max(at, finding.at),
    secondsToExhaustion: null,
    message: `${program} (pid ${pid}) on ${finding.node} ended while it was not watched.`,
  };
}
