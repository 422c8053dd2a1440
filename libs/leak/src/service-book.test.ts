import { expect, test } from 'vitest';
import { createRandom } from '../scenarios/random.js';
import {
  closeSeries,
  createSeries,
  createServiceBook,
  observe,
  PRODUCTION_PROFILE,
  reviveServiceBook,
  serializeServiceBook,
  serviceStatus,
  takeServiceTransition,
  type EndCause,
  type ServiceBook,
  type Transition,
} from './index.js';
import { regionalKendall, weightedMedian } from './regional-kendall.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MIB = 1024 * 1024;
const START = Date.UTC(2025, 0, 6);

interface Life {
  start: number;
  length: number;
  level: (age: number) => number;
  cause?: EndCause;
  limit?: number | null;
}

/** One life after the other; returns what processes and the service told. */
function live(
  book: ServiceBook,
  lives: readonly Life[],
  service = 'shop',
): { process: Transition[]; service: Transition[] } {
  const told = { process: [] as Transition[], service: [] as Transition[] };
  for (const { start, length, level, cause = 'exit', limit = null } of lives) {
    const series = createSeries(PRODUCTION_PROFILE, { startedAt: start, service });
    const note = (one: Transition | null): void => void (one && told.process.push(one));
    for (let age = 0; age < length; age += MINUTE) {
      note(observe(series, { at: start + age, bytes: level(age), limit }, book));
    }
    note(closeSeries(series, start + length, cause, book));
    const changed = takeServiceTransition(book, service);
    if (changed) told.service.push(changed);
  }
  return told;
}

function backToBack(count: number, length: number, level: (age: number) => number, more: Partial<Life> = {}): Life[] {
  return Array.from({ length: count }, (_, i) => ({ start: START + i * (length + 5000), length, level, ...more }));
}

test('twenty lives of an hour, each too small to convince, convince together', () => {
  const random = createRandom(4);
  const book = createServiceBook(PRODUCTION_PROFILE);
  const level = (age: number): number => 100 * MIB + (8 * MIB * age) / HOUR + random.normal() * MIB;
  const { process, service } = live(book, backToBack(20, HOUR, level));
  expect(process.some(({ to }) => to === 'SUSPECTED')).toBe(false);
  expect(service.map(({ to }) => to)).toEqual(['STABLE', 'SUSPECTED'].slice(-service.length));
  expect(service.at(-1)).toMatchObject({ to: 'SUSPECTED', imminent: false });
  expect(service.at(-1)!.growth!.bytesPerHour / MIB).toBeGreaterThan(5);
  expect(service.at(-1)!.growth!.bytesPerHour / MIB).toBeLessThan(11);
  expect(service.at(-1)!.evidence.z).toBeGreaterThan(3);
});

test('twenty flat lives make a stable service', () => {
  const random = createRandom(5);
  const book = createServiceBook(PRODUCTION_PROFILE);
  const { service } = live(
    book,
    backToBack(20, HOUR, () => 100 * MIB + random.normal() * MIB),
  );
  expect(service.map(({ to }) => to)).toEqual(['STABLE']);
  expect(serviceStatus(book, 'shop')).toMatchObject({ state: 'STABLE', openedAt: null });
});

test('lives that warm up and level off are no leak of the service', () => {
  const random = createRandom(6);
  const book = createServiceBook(PRODUCTION_PROFILE);
  const level = (age: number): number =>
    100 * MIB + 80 * MIB * (1 - Math.exp(-age / (10 * MINUTE))) + random.normal() * MIB;
  const { service } = live(book, backToBack(20, 2 * HOUR, level));
  expect(service.map(({ to }) => to)).toEqual(['STABLE']);
});

test('three lives that end for want of memory while growing confirm the service', () => {
  const book = createServiceBook(PRODUCTION_PROFILE);
  const level = (age: number): number => 100 * MIB + (300 * MIB * age) / HOUR;
  const { service } = live(book, backToBack(3, 2 * HOUR, level, { cause: 'oom', limit: 720 * MIB }));
  expect(service.at(-1)).toMatchObject({ to: 'CONFIRMED' });
  expect(service.at(-1)!.evidence.exhaustions).toBe(3);
});

test('batch jobs that all grow to the same end are not held against each other', () => {
  const book = createServiceBook(PRODUCTION_PROFILE);
  const jobs = Array.from({ length: 12 }, (_, i) => ({
    start: START + i * 3 * HOUR,
    length: HOUR,
    level: (age: number) => 100 * MIB + (400 * MIB * age) / HOUR,
  }));
  const { process, service } = live(book, jobs);
  expect(service.map(({ to }) => to)).toEqual(['STABLE']);
  expect(process.filter(({ to, at }) => to === 'SUSPECTED' && at > START + 9 * HOUR)).toEqual([]);
  expect(process.filter(({ to }) => to === 'CONFIRMED')).toEqual([]);
});

test('a service that was mended is cleared after some good lives', () => {
  const random = createRandom(7);
  const book = createServiceBook(PRODUCTION_PROFILE);
  const bad = backToBack(12, HOUR, (age) => 100 * MIB + (20 * MIB * age) / HOUR + random.normal() * MIB);
  const after = bad.at(-1)!.start + HOUR;
  const good = backToBack(14, HOUR, () => 100 * MIB + random.normal() * MIB).map((life) => ({
    ...life,
    start: life.start - START + after,
  }));
  const { service } = live(book, [...bad, ...good]);
  expect(service.map(({ to }) => to)).toEqual(['SUSPECTED', 'CLEARED']);
  expect(service[1]!.openedAt).toBe(service[0]!.openedAt);
  expect(serviceStatus(book, 'shop')!.openedAt).toBeNull();
});

test('a second instance of another age, suspected at another time, confirms the first', () => {
  const book = createServiceBook(PRODUCTION_PROFILE);
  const level = (age: number): number => 200 * MIB + (100 * MIB * age) / HOUR;
  const first = createSeries(PRODUCTION_PROFILE, { startedAt: START, service: 'shop' });
  const second = createSeries(PRODUCTION_PROFILE, { startedAt: START + 4 * HOUR, service: 'shop' });
  const twin = createSeries(PRODUCTION_PROFILE, { startedAt: START + 4 * HOUR, service: 'other' });
  const told = new Map<string, number>();
  for (let age = 0; age < 12 * HOUR; age += MINUTE) {
    const at = START + age;
    observe(first, { at, bytes: level(age), limit: null }, book);
    if (age < 4 * HOUR) continue;
    const bytes = level(age - 4 * HOUR);
    const one = observe(second, { at, bytes, limit: null }, book);
    const other = observe(twin, { at, bytes, limit: null }, book);
    if (one?.to === 'CONFIRMED') told.set('second', age);
    if (other?.to === 'CONFIRMED') told.set('other', age);
  }
  expect([...told.keys()]).toEqual(['second']);
});

test('the learned warm-up of a service lengthens the gate of its next process', () => {
  const book = createServiceBook(PRODUCTION_PROFILE);
  const level = (age: number): number => 100 * MIB + 400 * MIB * Math.min(1, age / (40 * MINUTE));
  live(book, backToBack(4, 4 * HOUR, level));
  const { process } = live(book, [{ start: START + 30 * HOUR, length: 3 * HOUR, level }]);
  const learned = process.find(({ from }) => from === 'LEARNING');
  expect(learned!.at - (START + 30 * HOUR)).toBeGreaterThan(60 * MINUTE);
});

test('a book keeps 64 lives of a bounded number of services and survives JSON', () => {
  const profile = { ...PRODUCTION_PROFILE, service: { ...PRODUCTION_PROFILE.service, services: 3 } };
  const book = createServiceBook(profile);
  for (const name of ['a', 'b', 'c', 'a', 'd'])
    live(
      book,
      backToBack(2, 20 * MINUTE, () => MIB),
      name,
    );
  expect([...book.services.keys()]).toEqual(['c', 'a', 'd']);
  live(
    book,
    backToBack(80, 2 * MINUTE, () => MIB),
    'a',
  );
  expect(book.services.get('a')!.epochs).toHaveLength(64);
  const revived = reviveServiceBook(profile, JSON.parse(JSON.stringify(serializeServiceBook(book))));
  expect(serializeServiceBook(revived)).toEqual(serializeServiceBook(book));
  expect(serviceStatus(revived, 'a')).toEqual(serviceStatus(book, 'a'));
  expect(serviceStatus(book, 'nobody')).toBeNull();
  expect(takeServiceTransition(book, 'nobody')).toBeNull();
});

test('the weighted median is the slope at which half of the weight is reached', () => {
  expect(weightedMedian([])).toBe(0);
  expect(
    weightedMedian([
      { slope: 9, weight: 1 },
      { slope: 1, weight: 3 },
      { slope: 5, weight: 1 },
    ]),
  ).toBe(1);
  expect(regionalKendall([]).z).toBe(0);
});
