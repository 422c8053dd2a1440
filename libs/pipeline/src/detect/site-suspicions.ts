import { decodeFindingRecord, Topic, type Finding, type NodeId, type ProcessKey } from '@tidemark/contracts';
import type { EventLog, LogRecord, Subscription } from '@tidemark/event-log';
import type { Logger } from '@tidemark/service';

/** The findings on allocation sites that are open, of all nodes, as the log has them: whoever restarts reads them again. */
export interface SiteSuspicions {
  /** Takes the newest word on a site. */
  note(finding: Finding): void;
  /** Takes away those on processes of the node that are not alive, and gives them as cleared. */
  clearGone(node: NodeId, isAlive: (key: ProcessKey) => boolean, at: number): Finding[];
  /** Gives what is open on the finding's subject under another id as cleared: a site is told of in one finding at a time. */
  clearEarlier(finding: Finding): Finding[];
  readonly size: number;
}

export function createSiteSuspicions(): SiteSuspicions {
  /** By subject. */
  const open = new Map<NodeId, Map<string, Finding>>();
  return {
    note(finding) {
      if (finding.kind !== 'SITE_LEAK') return;
      const ofNode = open.get(finding.node) ?? new Map<string, Finding>();
      if (isOpen(finding)) ofNode.set(finding.subject, finding);
      else ofNode.delete(finding.subject);
      if (ofNode.size > 0) open.set(finding.node, ofNode);
      else open.delete(finding.node);
    },
    clearGone(node, isAlive, at) {
      const gone = [...(open.get(node)?.values() ?? [])].filter(({ process }) => process && !isAlive(process.key));
      for (const { subject } of gone) open.get(node)?.delete(subject);
      return gone.map((finding) => cleared(finding, at, 'ended, and what leaked is gone with it'));
    },
    clearEarlier(finding) {
      const before = open.get(finding.node)?.get(finding.subject);
      if (!before || before.id === finding.id || !isOpen(finding)) return [];
      return [cleared(before, finding.at, 'is traced anew, and this place is judged from the beginning')];
    },
    get size() {
      let size = 0;
      for (const ofNode of open.values()) size += ofNode.size;
      return size;
    },
  };
}

/** Reads the findings from the oldest on. Records that cannot be read are others' to complain of. */
export function followSuspicions(
  log: EventLog,
  suspicions: SiteSuspicions,
  group: string,
  logger: Logger,
): Promise<Subscription> {
  return log.subscribe({
    ...{ topic: Topic.Findings, group, ephemeral: true, from: 'earliest' },
    assign: (context) => ({
      async handle(records) {
        for (const record of records) {
          const finding = findingIn(record, logger);
          if (finding) suspicions.note(finding);
          context.acknowledge(record.offset);
        }
      },
    }),
  });
}

function findingIn({ value, headers, partition, offset }: LogRecord, logger: Logger): Finding | undefined {
  if (value === null) return undefined;
  try {
    const record = decodeFindingRecord(value, headers);
    return record.type === 'finding' ? record : undefined;
  } catch (error) {
    logger.debug({ partition, offset, error: (error as Error).message }, 'finding cannot be read');
    return undefined;
  }
}

function isOpen({ state }: Finding): boolean {
  return state === 'SUSPECTED' || state === 'CONFIRMED';
}

function cleared(finding: Finding, at: number, what: string): Finding {
  const { program, pid } = finding.process!;
  return {
    ...finding,
    state: 'CLEARED',
    previous: finding.state,
    imminent: false,
    at: Math.max(at, finding.at),
    secondsToExhaustion: null,
    message: `${program} (pid ${pid}) on ${finding.node} ${what}.`,
  };
}
