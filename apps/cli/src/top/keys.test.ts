import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pressKey, type Key } from './keys.js';
import { initialState, rowsOf, selectedIndex, type TopState } from './model.js';
import { process as row, ROWS, sampleState } from './test-state.js';

function key(text: string): Key {
  const named = ['up', 'down', 'pageup', 'pagedown', 'home', 'end', 'escape', 'return', 'backspace', 'tab'];
  if (named.includes(text)) return { name: text, text: undefined, ctrl: false };
  if (text.startsWith('^')) return { name: text.slice(1), text: undefined, ctrl: true };
  return { name: text.toLowerCase(), text, ctrl: false };
}

function press(state: TopState, ...keys: string[]): { state: TopState; effects: string[] } {
  const effects: string[] = [];
  for (const one of keys) {
    const result = pressKey(state, key(one), 5);
    state = result.state;
    effects.push(result.effect);
  }
  return { state, effects };
}

const many = sampleState(Array.from({ length: 20 }, (_, index) => row(100 + index, 'p')));

describe('a key in top', () => {
  it('orders by another column, and turns the order round the second time', () => {
    const once = press(sampleState(), 'g');
    expect(once.state).toMatchObject({ sort: 'growth', reverse: false });
    expect(once.effects).toEqual(['refresh']);
    expect(press(once.state, 'g').state).toMatchObject({ sort: 'growth', reverse: true });
    expect(press(once.state, 'g', 'm').state).toMatchObject({ sort: 'rss', reverse: false });
    expect(press(once.state, 'r').state).toMatchObject({ sort: 'growth', reverse: true });
  });

  it('moves the mark, and the window with it', () => {
    expect(selectedIndex(press(many, 'down').state)).toBe(0);
    const down = press(many, 'down', 'down', 'down', 'down', 'down', 'down').state;
    expect(selectedIndex(down)).toBe(5);
    expect(down.offset).toBe(1);
    const end = press(down, 'end').state;
    expect(selectedIndex(end)).toBe(19);
    expect(end.offset).toBe(15);
    expect(press(end, 'pageup', 'pageup').state).toMatchObject({ offset: 9 });
    expect(press(end, 'home').state.offset).toBe(0);
  });

  it('keeps the mark on its process when the order changes', () => {
    const marked = press(many, 'down', 'down').state;
    const turned = { ...marked, snapshot: structuredClone(marked.snapshot!) };
    turned.snapshot.node.processes.nodes.reverse();
    expect(selectedIndex(turned)).toBe(18);
    expect(rowsOf(turned)[18]?.key).toBe(marked.selected);
  });

  it('types a filter, applies it with enter, and takes it back with escape', () => {
    const typed = press(sampleState(), '/', 'c', 'h', 'x', 'backspace', 'q');
    expect(typed.state.typing).toBe('chq');
    expect(typed.effects).not.toContain('quit');
    const applied = press(typed.state, 'return');
    expect(applied.state).toMatchObject({ filter: 'chq', typing: undefined });
    expect(applied.effects).toEqual(['refresh']);
    expect(press(applied.state, '/', 'z', 'escape').state).toMatchObject({ filter: 'chq', typing: undefined });
    expect(press(applied.state, 'escape').state.filter).toBe('');
  });

  it('opens details of the marked process only, and closes what is open', () => {
    expect(press(sampleState(), 'return').state.view).toBe('table');
    expect(press(sampleState(), 'down', 'return').state.view).toBe('detail');
    expect(press(sampleState(), 'down', 'return', 'escape').state.view).toBe('table');
    expect(press(sampleState(), '?').state.view).toBe('help');
    expect(press(sampleState(), '?', 'q')).toMatchObject({ state: { view: 'table' }, effects: ['none', 'none'] });
  });

  it('steps through the nodes and round', () => {
    expect(press(sampleState(), ']').state.node).toBe('web-2');
    expect(press(sampleState(), ']', ']').state.node).toBe('web-1');
    expect(press(sampleState(), '[').state.node).toBe('web-2');
  });

  it('quits and suspends', () => {
    expect(press(sampleState(), 'q').effects).toEqual(['quit']);
    expect(press(sampleState(), '/', '^c').effects).toEqual(['none', 'quit']);
    expect(press(sampleState(), '^z').effects).toEqual(['suspend']);
  });

  it('never breaks the state, whatever is pressed', () => {
    const any = fc.oneof(
      fc.constantFrom(
        'up',
        'down',
        'pageup',
        'pagedown',
        'home',
        'end',
        'escape',
        'return',
        'backspace',
        'tab',
        '^u',
        '^a',
      ),
      fc.constantFrom(...'macspgtinrhjk/?[] ', 'M', '\x1b', '\x00'),
    );
    const start = fc.constantFrom(
      sampleState(),
      many,
      sampleState([]),
      initialState('http://x/graphql', undefined, 'rss', ''),
    );
    fc.assert(
      fc.property(start, fc.array(any, { maxLength: 60 }), (state, keys) => {
        const after = press(state, ...keys).state;
        const rows = rowsOf(after).length;
        expect(after.offset).toBeGreaterThanOrEqual(0);
        expect(after.offset).toBeLessThanOrEqual(Math.max(0, rows - 1));
        expect(after.typing ?? '').not.toMatch(/[\x00-\x1f\x7f]/);
        expect(after.selected === undefined || selectedIndex(after) >= 0).toBe(true);
      }),
    );
  });

  it('remembers rows of the sample', () => {
    expect(rowsOf(sampleState())).toHaveLength(ROWS.length);
  });
});
