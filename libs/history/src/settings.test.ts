import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { historyOptions, historySettings } from './settings.js';

describe('the settings of history', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-settings-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const options = (settings: object) => historyOptions(historySettings.parse(settings));

  it('are a server on this host unless they say otherwise', () => {
    expect(options({})).toEqual({
      url: 'http://127.0.0.1:8123',
      username: 'default',
      password: '',
      database: 'tidemark',
      retention: { rawDays: 2, minuteDays: 30, hourDays: 400 },
    });
  });

  it('take password, authorities and cluster to the options', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
    const passwordFile = file('password', 's e c r e t\n');
    const caFile = file('ca.pem', pem);
    const taken = options({ url: 'https://ch:8443', passwordFile, caFile, cluster: '{cluster}', rawDays: 1 });
    expect(taken).toMatchObject({ password: 's e c r e t', ca: pem, cluster: '{cluster}', retention: { rawDays: 1 } });
  });

  it.each([
    ['a password twice', { password: 'a', passwordFile: '/dev/null' }, 'history.password and history.passwordFile: '],
    ['an empty password file', { passwordFile: '/dev/null' }, 'history.passwordFile: /dev/null is empty'],
    ['no password file', { passwordFile: '/nowhere' }, 'history.passwordFile: /nowhere cannot be read (ENOENT)'],
    ['no file of authorities', { url: 'https://ch:8443', caFile: '/nowhere' }, 'history.caFile: /nowhere cannot be'],
    [
      'authorities that are none',
      { url: 'https://ch:8443', caFile: '/dev/null' },
      'history.caFile: /dev/null holds no',
    ],
    ['authorities for http', { caFile: '/etc/ca.pem' }, 'history.caFile: is set but history.url is http://127.0.0.1'],
    ['periods that shrink', { rawDays: 40 }, 'history.rawDays, history.minuteDays, history.hourDays: are 40, 30, 400'],
  ])('name what is wrong: %s', (_, settings, message) => {
    expect(() => options(settings)).toThrow(message);
  });

  it.each([
    [{ url: 'ch:8123' }, 'url'],
    [{ url: 'http://user:secret@ch:8123' }, 'url'],
    [{ database: 'a; DROP' }, 'database'],
    [{ cluster: "a' b" }, 'cluster'],
    [{ hourDays: 0 }, 'hourDays'],
  ])('refuse %j', (settings, key) => {
    expect(historySettings.safeParse(settings).error?.issues.map(({ path }) => path)).toEqual([[key]]);
  });
});
