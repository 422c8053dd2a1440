import { describe, expect, it } from 'vitest';
import { createLanes } from './lanes.js';

const never = new AbortController().signal;

describe('lanes', () => {
  it('let as many run as there are, and the others in the order they came', async () => {
    const lanes = createLanes(2, 10);
    const first = await lanes.take(never);
    const second = await lanes.take(never);
    expect(new Set([first.index, second.index])).toEqual(new Set([0, 1]));
    const order: string[] = [];
    const third = lanes.take(never).then((lane) => (order.push('third'), lane));
    const fourth = lanes.take(never).then((lane) => (order.push('fourth'), lane));
    expect([lanes.running, lanes.waiting]).toEqual([2, 2]);
    second.release();
    expect((await third).index).toBe(second.index);
    first.release();
    await fourth;
    expect(order).toEqual(['third', 'fourth']);
  });

  it('refuse who finds the queue full', async () => {
    const lanes = createLanes(1, 1);
    const lane = await lanes.take(never);
    const waiting = lanes.take(never);
    await expect(lanes.take(never)).rejects.toMatchObject({ code: 202, label: 'TOO_MANY_SIMULTANEOUS_QUERIES' });
    lane.release();
    (await waiting).release();
    (await lanes.take(never)).release();
  });

  it('forget who goes away while waiting', async () => {
    const lanes = createLanes(1, 5);
    const lane = await lanes.take(never);
    const gone = new AbortController();
    const waiting = lanes.take(gone.signal);
    const next = lanes.take(never);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    lane.release();
    (await next).release();
    await expect(lanes.take(AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    expect([lanes.running, lanes.waiting]).toEqual([0, 0]);
  });

  it('say when all are free, and count no lane twice', async () => {
    const lanes = createLanes(1, 5);
    await lanes.idle();
    const lane = await lanes.take(never);
    let idle = false;
    const waiting = lanes.idle().then(() => (idle = true));
    await Promise.resolve();
    expect(idle).toBe(false);
    lane.release();
    lane.release();
    await waiting;
    await lanes.take(never);
    expect(lanes.running).toBe(1);
  });
});
