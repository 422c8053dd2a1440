import { describe, expect, it } from 'vitest';
import { createLifecycle } from './lifecycle.js';
import { silentLogger } from './logger.js';

describe('a lifecycle', () => {
  it('stops its parts in the reverse order of their start', async () => {
    const order: string[] = [];
    const lifecycle = createLifecycle(silentLogger);
    for (const name of ['log', 'writer', 'api']) lifecycle.add({ name, stop: async () => void order.push(name) });
    expect(await lifecycle.stop(1000)).toEqual({ failed: [] });
    expect(order).toEqual(['api', 'writer', 'log']);
  });

  it('stops once, however often it is asked', async () => {
    let stops = 0;
    const lifecycle = createLifecycle(silentLogger);
    lifecycle.add({ name: 'log', stop: async () => void stops++ });
    await Promise.all([lifecycle.stop(1000), lifecycle.stop(1000)]);
    expect(stops).toBe(1);
  });

  it('stops the others when one part fails or hangs, and names it', async () => {
    const stopped: string[] = [];
    const lifecycle = createLifecycle(silentLogger);
    lifecycle.add({ name: 'log', stop: async () => void stopped.push('log') });
    lifecycle.add({ name: 'hangs', stop: () => new Promise(() => {}) });
    lifecycle.add({ name: 'throws', stop: () => Promise.reject(new Error('no')) });
    expect(await lifecycle.stop(10)).toEqual({ failed: ['throws', 'hangs'] });
    expect(stopped).toEqual(['log']);
  });
});
