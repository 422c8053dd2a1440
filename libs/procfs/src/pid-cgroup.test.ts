import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from './fixtures.oracle.js';
import { memoryCgroup, parsePidCgroup } from './pid-cgroup.js';

const parse = (text: string) => parsePidCgroup(Buffer.from(text));

describe('parsePidCgroup', () => {
  it('gives back any hierarchies and paths, colons included', () => {
    const path = fc.string({ unit: fc.constantFrom('a', ':', '/', ' ', 'é', '-') }).map((text) => `/${text}`);
    const controllers = fc.array(fc.constantFrom('memory', 'cpu', 'name=systemd'), { maxLength: 2 });
    const entry = fc.record({ hierarchy: fc.nat(20), controllers, path, deleted: fc.constant(false) });
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const text = entries.map((each) => `${each.hierarchy}:${each.controllers.join(',')}:${each.path}\n`).join('');
        expect(parse(text)).toEqual(entries);
      }),
    );
  });

  it('tells a group that is gone', () => {
    expect(parsePidCgroup(fixture('5.10', '900/cgroup'))).toEqual([
      { hierarchy: 0, controllers: [], path: '/system.slice/web.service', deleted: true },
    ]);
  });

  it('throws a coded error on anything else', () => {
    for (const text of ['x', '0:', 'a::/', '1:memory\n2:cpu:/', ':::']) {
      expect(() => parse(text), text).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
    }
  });
});

describe('memoryCgroup', () => {
  it('prefers the v1 memory hierarchy, as on the captured hybrid host', () => {
    const entries = parsePidCgroup(fixture('6.18', '1/cgroup'));
    expect(entries.length).toBe(10);
    expect(memoryCgroup(entries)).toEqual({ version: 1, path: '/' });
    expect(memoryCgroup(parse('4:cpu,memory:/a/b\n0::/c\n'))).toEqual({ version: 1, path: '/a/b' });
  });

  it('else takes the unified one, else none', () => {
    expect(memoryCgroup(parsePidCgroup(fixture('5.10', '812/cgroup')))).toEqual({
      version: 2,
      path: '/system.slice/web.service',
    });
    expect(memoryCgroup(parse('1:cpu:/\n'))).toBeNull();
  });
});
