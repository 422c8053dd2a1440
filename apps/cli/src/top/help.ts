import { fit } from '../terminal/printable.js';
import { cutLine, span, type Line } from '../terminal/style.js';
import { SORT_KEYS } from './model.js';

const KEYS: readonly (readonly [key: string, does: string])[] = [
  ...Object.values(SORT_KEYS).map(({ key, title }) => [key, `order by ${title}; again: the other way round`] as const),
  ['r', 'turn the order round'],
  ['/', 'show only processes with a text in program, command line, service or user'],
  ['↑ ↓ PgUp PgDn', 'mark a process; Home and End for the first and last'],
  ['enter', 'everything about the marked process'],
  ['[ ]', 'the node before, the node after'],
  ['space', 'hold the picture'],
  ['esc', 'take back the mark, then the filter'],
  ['q', 'quit'],
];

const COLUMNS: readonly (readonly [column: string, means: string])[] = [
  ['ANON', 'resident anonymous memory: heap and stacks; a leak shows here and in SWAP'],
  ['PSS', 'RSS with shared pages divided by their users; – where it may not or could not be read'],
  ['GROWTH/H', 'growth of ANON + SWAP per hour, as the leak detector measures it'],
  ['LEAK', 'learning, stable, growing, SUSPECTED, CONFIRMED, cleared, saturating; ! memory runs out soon'],
  ['RECENT', 'ANON + SWAP since this view began, between its own least and greatest'],
];

export function renderHelp(width: number): Line[] {
  const row = (left: string, right: string): Line =>
    cutLine([span('  '), span(fit(left, 15), 'accent'), span(right)], width);
  return [
    [span('Keys', 'heading')],
    ...KEYS.map(([key, does]) => row(key, does)),
    [],
    [span('Columns', 'heading')],
    ...COLUMNS.map(([column, means]) => row(column, means)),
  ];
}
