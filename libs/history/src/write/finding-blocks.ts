import type { Acknowledgement, Finding, FindingRecord } from '@tidemark/contracts';
import { block, byDay, LAST_MOMENT, traceOf, type Block } from './block.js';
import {
  boolColumn,
  countColumn,
  dictionaryColumn,
  floatColumn,
  nullableCountColumn,
  nullableTextColumn,
  textColumn,
  timeColumn,
} from './native-columns.js';

export function findingBlocks(records: readonly FindingRecord[], batch: number): Block[] {
  const findings = records.filter((record) => record.type === 'finding');
  const acknowledgements = records.filter((record) => record.type === 'acknowledgement');
  return [
    ...byDay(findings).map(([day, ofDay]) => findingBlock(day, ofDay, batch)),
    ...byDay(acknowledgements).map(([day, ofDay]) => acknowledgementBlock(day, ofDay, batch)),
  ];
}

function findingBlock(day: number, findings: readonly Finding[], batch: number): Block {
  const word = (name: string, pick: (finding: Finding) => string) =>
    dictionaryColumn(
      name,
      findings.map((finding) => ({ text: pick(finding), rows: 1 })),
    );
  const columns = [
    textColumn(
      'id',
      findings.map(({ id }) => id),
    ),
    timeColumn(
      'at',
      findings.map(({ at }) => at),
    ),
    countColumn(
      'batch',
      findings.map(() => batch),
    ),
    timeColumn(
      'opened_at',
      findings.map(({ openedAt }) => Math.min(openedAt, LAST_MOMENT)),
    ),
    word('node', ({ node }) => node),
    word('kind', ({ kind }) => kind),
    word('state', ({ state }) => state),
    word('previous', ({ previous }) => previous),
    boolColumn(
      'imminent',
      findings.map(({ imminent }) => imminent),
    ),
    floatColumn(
      'confidence',
      findings.map(({ confidence }) => confidence),
    ),
    textColumn(
      'subject',
      findings.map(({ subject }) => subject),
    ),
    textColumn(
      'service',
      findings.map(({ service }) => service),
    ),
    nullableTextColumn(
      'program',
      findings.map(({ process }) => process?.program),
    ),
    nullableTextColumn(
      'user',
      findings.map(({ process }) => process?.user),
    ),
    nullableCountColumn(
      'pid',
      findings.map(({ process }) => process?.pid),
    ),
    countColumn(
      'bytes',
      findings.map(({ bytes }) => bytes),
    ),
    textColumn(
      'record',
      findings.map((finding) => JSON.stringify(finding)),
    ),
  ];
  // Every finding has its id first in the key, so that a search by node would not be narrower.
  return block('findings', day, findings.length, columns, { ...traceOf(batch, findings), nodes: null });
}

function acknowledgementBlock(day: number, records: readonly Acknowledgement[], batch: number): Block {
  const columns = [
    textColumn(
      'id',
      records.map(({ id }) => id),
    ),
    timeColumn(
      'at',
      records.map(({ at }) => at),
    ),
    countColumn(
      'batch',
      records.map(() => batch),
    ),
    textColumn(
      'subject',
      records.map(({ subject }) => subject),
    ),
    nullableTextColumn(
      'note',
      records.map(({ note }) => note),
    ),
  ];
  return block('acknowledgements', day, records.length, columns, null);
}
