import { ClickHouseError } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createConnection, identifier } from './connection.js';
import { toHistoryError } from './errors.js';
import { createHistory } from './history.js';
import { openTestHistory, type TestHistory } from './testing/open-history.js';

describe('a fault of ClickHouse', () => {
  const fault = (code: string, message = 'x') => toHistoryError(new ClickHouseError({ code, message, type: 'T' }), 'y');

  it.each([
    ['243', 'HISTORY_DISK_FULL', true],
    ['241', 'HISTORY_BUSY', true],
    ['252', 'HISTORY_BUSY', true],
    ['202', 'HISTORY_BUSY', true],
    ['159', 'HISTORY_BUSY', true],
    ['516', 'HISTORY_ACCESS', false],
    ['60', 'HISTORY_SCHEMA', false],
    ['16', 'HISTORY_SCHEMA', false],
    ['62', 'HISTORY_QUERY', false],
  ])('%s is %s, worth another try: %s', (number, code, retriable) => {
    expect(fault(number)).toMatchObject({ code, retriable });
  });

  it('is a full disk whatever its number when it says so', () => {
    expect(fault('1002', 'write: No space left on device')).toMatchObject({
      code: 'HISTORY_DISK_FULL',
      retriable: true,
    });
  });

  it('is told in one line of bounded length', () => {
    const { message } = fault('62', `a\nb${'c'.repeat(10_000)}`);
    expect(message).toMatch(/^history refused while y: a bc+$/);
    expect(message.length).toBeLessThan(500);
  });

  it('without a number is that nobody answers', () => {
    const error = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(toHistoryError(error, 'y')).toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
  });
});

describe('a connection', () => {
  let test: TestHistory;
  beforeAll(async () => {
    test = await openTestHistory();
  });
  afterAll(() => test.close());

  it('pings, and says when nobody answers', async () => {
    await expect(test.history.ping()).resolves.toBeUndefined();
    const nobody = createHistory({ ...test.options, url: 'http://127.0.0.1:1' });
    await expect(nobody.ping()).rejects.toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
    await expect(nobody.lastNodes()).rejects.toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
    await expect(nobody.migrate()).rejects.toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
    await nobody.close();
  });

  it('tells a wrong password from a missing table', async () => {
    const stranger = createHistory({ ...test.options, password: 'wrong' });
    await expect(stranger.lastNodes()).rejects.toMatchObject({ code: 'HISTORY_ACCESS', retriable: false });
    await stranger.close();
    const empty = createHistory({ ...test.options, database: 'not_migrated' });
    await expect(empty.lastNodes()).rejects.toMatchObject({ code: 'HISTORY_SCHEMA', retriable: false });
    await empty.close();
  });

  it('stops waiting when told to', async () => {
    const stop = new AbortController();
    const asked = test.connection.query('SELECT sleepEachRow(1) FROM numbers(3)', {}, stop.signal);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'HISTORY_UNAVAILABLE' });
  });

  it('takes no database name that could be SQL', () => {
    expect(() => createConnection({ ...test.options, database: 'a`; DROP DATABASE b' })).toThrow(
      'must be letters, digits',
    );
    expect(identifier('rss_min')).toBe('`rss_min`');
  });
});
