import type { Acknowledgement, Finding, FindingRecord } from '@tidemark/contracts';
import { block, byDay, LAST_MOMENT, traceOf, type BatchOf, type Block } from './block.js';
import {
  boolColumn,
  countColumn,
  dictionaryColumn,
  floatColumn,
  nullableCountColumn,
  nullableTextColumn,
  textColumn,
  timeColumn,
  type NativeColumn,
} from './native-columns.js';

export function findingBlocks(records: readonly FindingRecord[], batchOf: BatchOf<FindingRecord>): Block[] {
  // Sorted as the tables are: of two records of one time the later one must stay the later one.
  const sorted = records.toSorted((a, b) => (a.id === b.id ? a.at - b.at : a.id < b.id ? -1 : 1));
  const findings = sorted.filter((record) => record.type === 'finding');
  const acknowledgements = sorted.filter((record) => record.type === 'acknowledgement');
  return [
    ...byDay(findings).map(([day, ofDay]) => findingBlock(day, ofDay, batchOf)),
    ...byDay(acknowledgements).map(([day, ofDay]) => acknowledgementBlock(day, ofDay, batchOf)),
  ];
}

type Pick<T> = (finding: Finding) => T;

function findingBlock(day: number, findings: readonly Finding[], batchOf: BatchOf<Finding>): Block {
  const all = <T>(pick: Pick<T>): T[] => findings.map(pick);
  const columns = [countColumn('batch', all(batchOf)), ...subjectColumns(all), ...verdictColumns(all)];
  // Every finding has its id first in the key, so that a search by node would not be narrower.
  return block('findings', day, findings.length, columns, { ...traceOf(batchOf, findings), nodes: null });
}

/** What it is about. */
function subjectColumns(all: <T>(pick: Pick<T>) => T[]): NativeColumn[] {
  const pid = all(({ process }) => process?.pid);
  return [
    text('id', ({ id }) => id),
    text('subject', ({ subject }) => subject),
    text('service', ({ service }) => service),
    word('node', ({ node }) => node),
    word('kind', ({ kind }) => kind),
    maybe('program', ({ process }) => process?.program),
    maybe('user', ({ process }) => process?.user),
    nullableCountColumn('pid', pid),
  ];

  function text(name: string, pick: Pick<string>): NativeColumn {
    return textColumn(name, all(pick));
  }
  function maybe(name: string, pick: Pick<string | null | undefined>): NativeColumn {
    return nullableTextColumn(name, all(pick));
  }
  function word(name: string, pick: Pick<string>): NativeColumn {
    return dictionaryColumn(name, runs(all(pick)));
  }
}

/** What it says. */
function verdictColumns(all: <T>(pick: Pick<T>) => T[]): NativeColumn[] {
  const states = all(({ state }) => state);
  const imminent = all(({ imminent }) => imminent);
  const confidence = all(({ confidence }) => confidence);
  const records = all((finding) => JSON.stringify(finding));
  return [
    time('at', ({ at }) => at),
    time('opened_at', ({ openedAt }) => openedAt),
    dictionaryColumn('state', runs(states)),
    dictionaryColumn('previous', runs(all(({ previous }) => previous))),
    boolColumn('imminent', imminent),
    floatColumn('confidence', confidence),
    countColumn(
      'bytes',
      all(({ bytes }) => bytes),
    ),
    textColumn('record', records),
  ];

  function time(name: string, pick: Pick<number>): NativeColumn {
    return timeColumn(
      name,
      all((finding) => Math.min(pick(finding), LAST_MOMENT)),
    );
  }
}

const runs = (texts: readonly string[]): { text: string; rows: number }[] => texts.map((text) => ({ text, rows: 1 }));

function acknowledgementBlock(
  day: number,
  records: readonly Acknowledgement[],
  batchOf: BatchOf<Acknowledgement>,
): Block {
  const columns = [
    textColumn(
      'id',
      records.map(({ id }) => id),
    ),
    timeColumn(
      'at',
      records.map(({ at }) => at),
    ),
    countColumn('batch', records.map(batchOf)),
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
