import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from './fixtures.oracle.js';
import { hidePid, parseMountinfo, type Mount } from './mountinfo.js';

const parse = (text: string) => parseMountinfo(Buffer.from(text));

const escape = (text: string): string =>
  text.replace(/[ \t\n\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`);

describe('parseMountinfo', () => {
  it('gives back any mounts, whatever their paths are made of', () => {
    const path = fc
      .string({ unit: fc.constantFrom('a', ' ', '\t', '\n', '\\', '#', '-', 'é', '/') })
      .map((text) => `/${text}`);
    const option = fc.constantFrom('rw', 'ro', 'relatime', 'mode=755');
    const mount: fc.Arbitrary<Mount> = fc.record({
      id: fc.nat(),
      parent: fc.nat(),
      device: fc.constant('8:1'),
      root: path,
      mountPoint: path,
      options: fc.array(option, { minLength: 1 }),
      propagation: fc.subarray(['shared:1', 'master:2', 'unbindable']),
      type: fc.constantFrom('ext4', 'fuse.sshfs', 'proc'),
      source: fc.oneof(path, fc.constant('')),
      superOptions: fc.array(option, { minLength: 1 }),
    });
    const line = (m: Mount): string =>
      [
        ...[m.id, m.parent, m.device, escape(m.root), escape(m.mountPoint), m.options.join(','), ...m.propagation],
        ...['-', m.type, escape(m.source), m.superOptions.join(',')],
      ].join(' ');
    fc.assert(
      fc.property(fc.array(mount), (mounts) => {
        expect(parse(mounts.map((each) => `${line(each)}\n`).join(''))).toEqual(mounts);
      }),
    );
  });

  it('reads the mounts of 5.10', () => {
    expect(parseMountinfo(fixture('5.10', 'self/mountinfo')).at(-1)).toEqual({
      id: 44,
      parent: 27,
      device: '0:39',
      root: '/dir with blanks',
      mountPoint: '/mnt/tab\tnl\nbs\\end',
      options: ['rw', 'relatime'],
      propagation: ['shared:20', 'master:3', 'propagate_from:2', 'unbindable'],
      type: 'tmpfs',
      source: '',
      superOptions: ['rw', 'size=1024k'],
    });
  });

  it('throws a coded error on anything else', () => {
    for (const text of ['x', '1 2 3:4 / / rw', '1 2 3:4 / / rw - ext4 dev', 'a 2 3:4 / / rw - ext4 dev rw']) {
      expect(() => parse(text), text).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
    }
  });
});

describe('hidePid', () => {
  const proc = (options: string): Mount[] => parse(`22 1 0:21 / /proc rw - proc proc ${options}\n`);

  it('reads numbers and words', () => {
    expect(
      ['rw', 'rw,hidepid=1', 'rw,hidepid=noaccess', 'rw,gid=4,hidepid=2', 'rw,hidepid=invisible', 'rw,hidepid=4'].map(
        (options) => hidePid(proc(options)),
      ),
    ).toEqual(['off', 'noaccess', 'noaccess', 'invisible', 'invisible', 'ptraceable']);
  });

  it('goes by the mount in sight, at the root that is asked about', () => {
    expect(hidePid([...proc('rw,hidepid=2'), ...proc('rw')])).toBe('off');
    expect(hidePid(proc('rw,hidepid=2'), '/host/proc')).toBe('off');
    expect(hidePid(parseMountinfo(fixture('5.10', 'self/mountinfo')))).toBe('invisible');
  });
});
