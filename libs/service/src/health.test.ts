import { describe, expect, it } from 'vitest';
import { healthReport } from './health.js';

const fine = { live: true, ready: true, detail: 'fine' };

describe('a health report', () => {
  it('is live and ready only when every part is', () => {
    const busy = { live: true, ready: false, detail: 'starting' };
    const dead = { live: false, ready: false, detail: 'no round for 60 s' };
    expect(healthReport({ a: () => fine })).toMatchObject({ live: true, ready: true });
    expect(healthReport({ a: () => fine, b: () => busy })).toMatchObject({ live: true, ready: false });
    expect(healthReport({ a: () => fine, b: () => dead })).toMatchObject({ live: false, ready: false });
  });
});
