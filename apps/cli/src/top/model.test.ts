import { describe, expect, it } from 'vitest';
import { initialState, leakSignal, RECENT_SAMPLES, withSnapshot, type TopProcess } from './model.js';
import { node, NOW, process as row } from './test-state.js';

const snapshot = (rows: TopProcess[], id = 'web-1') => ({
  node: node(rows, { id }),
  nodes: ['web-1'],
  receivedAt: NOW.getTime(),
});

const withAnonymous = (pid: number, anonymous: number | string | null, swap: number | null = 0): TopProcess => {
  const base = row(pid, 'p');
  return { ...base, memory: { ...base.memory, anonymous, swap } };
};

describe('the state of top', () => {
  const empty = initialState('http://x/graphql', 'web-1', 'rss', '');

  it('keeps what was seen of each process, newest last, and no more than is drawn', () => {
    let state = empty;
    for (let at = 0; at < RECENT_SAMPLES + 5; at++) state = withSnapshot(state, snapshot([withAnonymous(1, at)]));
    const recent = state.recent.get('web-1/boot/1/1');
    expect(recent).toHaveLength(RECENT_SAMPLES);
    expect(recent?.at(-1)).toBe(RECENT_SAMPLES + 4);
  });

  it('adds swap, so that a leak that is paged out does not look flat', () => {
    expect(leakSignal(withAnonymous(1, 10, 5))).toBe(15);
    expect(leakSignal(withAnonymous(1, '10', null))).toBe(10);
    expect(leakSignal(withAnonymous(1, null, 5))).toBeNull();
  });

  it('leaves a gap while a process is off the list, and forgets one that stays away', () => {
    let state = withSnapshot(empty, snapshot([withAnonymous(1, 7)]));
    state = withSnapshot(state, snapshot([withAnonymous(2, 8)]));
    state = withSnapshot(state, snapshot([withAnonymous(1, 9)]));
    expect(state.recent.get('web-1/boot/1/1')).toEqual([7, null, 9]);
    for (let at = 0; at < RECENT_SAMPLES + 1; at++) state = withSnapshot(state, snapshot([withAnonymous(2, 8)]));
    expect(state.recent.has('web-1/boot/1/1')).toBe(false);
  });

  it('forgets the processes of another node', () => {
    const state = withSnapshot(withSnapshot(empty, snapshot([withAnonymous(1, 7)])), snapshot([], 'web-2'));
    expect(state.recent.size).toBe(0);
    expect(state.node).toBe('web-2');
  });
});
