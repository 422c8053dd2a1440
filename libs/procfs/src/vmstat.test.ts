import { describe, expect, it } from 'vitest';
import { fixture } from './fixtures.oracle.js';
import { splitFigures } from './split.oracle.js';
import { parseVmstat } from './vmstat.js';

describe('parseVmstat', () => {
  it.each(['2.6', '5.10', '6.18'] as const)('agrees with a split of the block of %s', (kernel) => {
    const bytes = fixture(kernel, 'vmstat');
    const lines = splitFigures(bytes.toString());
    const expected = {
      pagedIn: lines['pgpgin'],
      pagedOut: lines['pgpgout'],
      swappedIn: lines['pswpin'],
      swappedOut: lines['pswpout'],
      faults: lines['pgfault'],
      majorFaults: lines['pgmajfault'],
      ...(lines['oom_kill'] === undefined ? {} : { oomKills: lines['oom_kill'] }),
    };
    expect(parseVmstat(bytes)).toStrictEqual(expected);
  });

  it('knows no OOM kills on 2.6.18, and does not say 0', () => {
    expect(parseVmstat(fixture('2.6', 'vmstat'))).not.toHaveProperty('oomKills');
  });

  it('throws a coded error on anything else', () => {
    expect(() => parseVmstat(Buffer.from('nr_free 5\n'))).toThrow(expect.objectContaining({ code: 'PROCFS_FORMAT' }));
  });
});
