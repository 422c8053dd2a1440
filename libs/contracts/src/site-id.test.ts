import fc from 'fast-check';
import { expect, test } from 'vitest';
import { processKey, type NodeId } from './ids.js';
import { siteId, siteSubject } from './site-id.js';

const place = fc.record({
  buildId: fc.option(fc.stringMatching(/^[0-9a-f]{8,40}$/)),
  module: fc.option(fc.string({ maxLength: 30 })),
  offset: fc.nat(Number.MAX_SAFE_INTEGER),
  inlined: fc.boolean(),
});

test('a stack has the same name wherever its objects lie and whoever looked up its inlined frames', () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 20 }), (frames) => {
      const elsewhere = frames
        .filter(({ inlined }) => !inlined)
        .map((frame) => (frame.buildId === null ? frame : { ...frame, module: '/elsewhere' }));
      expect(siteId(elsewhere)).toBe(siteId(frames));
      expect(siteId(frames)).toMatch(/^[0-9a-f]{16}$/);
    }),
  );
});

test('stacks that differ in an object, an offset or their order have names of their own', () => {
  const frames = [
    { buildId: 'ab', module: '/bin/a', offset: 16, inlined: false },
    { buildId: null, module: '/lib/b', offset: 32, inlined: false },
  ];
  const [first, second] = frames as [(typeof frames)[0], (typeof frames)[0]];
  const others = [
    [first],
    [second, first],
    [{ ...first, buildId: 'ac' }, second],
    [first, { ...second, module: '/lib/c' }],
    [first, { ...second, offset: 33 }],
    [first, second, second],
  ];
  expect(new Set([frames, ...others].map(siteId)).size).toBe(others.length + 1);
});

test('the name of a stack is that which earlier builds gave it', () => {
  // printf '9f86+11a4\n/lib/libc.so.6+2a1ca\n+7f00\n' | sha256sum
  const frames = [
    { buildId: '9f86', module: '/bin/a', offset: 0x11a4, inlined: false },
    { buildId: '9f86', module: '/bin/a', offset: 0x11a4, inlined: true },
    { buildId: null, module: '/lib/libc.so.6', offset: 0x2a1ca, inlined: false },
    { buildId: null, module: null, offset: 0x7f00, inlined: false },
  ];
  expect(siteId(frames)).toBe('ccb672bac3e04352');
});

test('a subject names process and stack', () => {
  expect(siteSubject(processKey('n' as NodeId, 'b', 7, 12), '0011223344556677')).toBe('n/b/7/12#0011223344556677');
});
