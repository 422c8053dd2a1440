import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createUserNames } from './user-names.js';

const directory = mkdtempSync(join(tmpdir(), 'tidemark-users-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('names users by the first line of their uid, and none that is not there', () => {
  const file = join(directory, 'passwd');
  writeFileSync(
    file,
    'root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# note\n\n+::::\nbad:x:-1:0\nme:x:1000:1000\n',
  );
  const users = createUserNames(file, () => 0);
  expect([0, 1000, 1001, -1].map((uid) => users.nameOf(uid))).toEqual(['root', 'me', null, null]);
});

it('reads the file again when it changed, but not at every unknown uid', () => {
  const file = join(directory, 'growing');
  let now = 0;
  writeFileSync(file, 'a:x:1:1\n');
  const users = createUserNames(file, () => now);
  expect(users.nameOf(2)).toBeNull();
  writeFileSync(file, 'a:x:1:1\nb:x:2:2\n');
  utimesSync(file, 1, 2);
  expect(users.nameOf(2)).toBeNull();
  now = 30_000;
  expect(users.nameOf(2)).toBe('b');
});

it('does without the file', () => {
  expect(createUserNames(join(directory, 'none'), () => 0).nameOf(0)).toBeNull();
});
