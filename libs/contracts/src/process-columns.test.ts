import { expect, it } from 'vitest';
import { numberColumns, PROCESS_NUMBERS, type ProcessColumns } from './process-columns.js';

it('the columns of numbers are given in the order of their names, and what is not there is undefined', () => {
  const all = Object.fromEntries(PROCESS_NUMBERS.map((name, place) => [name, [place]]));
  const procs = { pid: [1], start: [2], ...all } as ProcessColumns;
  expect(numberColumns(procs)).toEqual(PROCESS_NUMBERS.map((_, place) => [place]));
  expect(numberColumns({ pid: [1], start: [2], uss: [3] })).toEqual([...new Array(20).fill(undefined), [3]]);
});
