import { printable } from '../terminal/printable.js';
import { rowsOf, selectedIndex, SORT_KEYS, type SortName, type TopState } from './model.js';

/** A key as Node's readline names it. */
export interface Key {
  name: string | undefined;
  /** The text that it types, if any. */
  text: string | undefined;
  ctrl: boolean;
}

/** What a key wants besides a new state: the program to end, to be suspended, or the data anew at once. */
export type KeyEffect = 'none' | 'quit' | 'suspend' | 'refresh';

export interface KeyResult {
  state: TopState;
  effect: KeyEffect;
}

const BY_KEY = new Map<string, SortName>(
  Object.entries(SORT_KEYS).map(([name, { key }]) => [key, name as SortName] as const),
);
/** Capitals as in other tops. */
const ALIASES: Readonly<Record<string, SortName>> = { M: 'rss', P: 'cpu', N: 'pid', T: 'started' };

const MAX_FILTER = 200;

/** The state after a key. `page` is the number of rows that are in view. */
export function pressKey(state: TopState, key: Key, page: number): KeyResult {
  if (key.ctrl && key.name === 'c') return { state, effect: 'quit' };
  if (key.ctrl && key.name === 'z') return { state, effect: 'suspend' };
  if (state.typing !== undefined) return typeKey(state, state.typing, key);
  if (state.view !== 'table') return closeView(state, key);
  const moved = move(state, key, page);
  if (moved) return { state: moved, effect: 'none' };
  return command(state, key);
}

function typeKey(state: TopState, typing: string, key: Key): KeyResult {
  if (key.name === 'escape') return { state: { ...state, typing: undefined }, effect: 'none' };
  if (key.name === 'return' || key.name === 'enter') {
    return { state: { ...state, typing: undefined, filter: typing.trim(), offset: 0 }, effect: 'refresh' };
  }
  if (key.name === 'backspace') return changed([...typing].slice(0, -1).join(''));
  if (key.ctrl && key.name === 'u') return changed('');
  if (key.ctrl || key.text === undefined || printable(key.text) !== key.text) return { state, effect: 'none' };
  return changed((typing + key.text).slice(0, MAX_FILTER));

  function changed(text: string): KeyResult {
    return { state: { ...state, typing: text }, effect: 'none' };
  }
}

function closeView(state: TopState, key: Key): KeyResult {
  const closes = ['escape', 'return', 'enter', 'q', 'left'].includes(key.name ?? '') || key.text === '?';
  return { state: closes ? { ...state, view: 'table' } : state, effect: 'none' };
}

/** The state with the mark moved; undefined when the key is for something else. */
function move(state: TopState, key: Key, page: number): TopState | undefined {
  const rows = rowsOf(state);
  const at = selectedIndex(state);
  const to = target(key, at, rows.length, Math.max(1, page));
  if (to === undefined) return undefined;
  const index = Math.max(0, Math.min(rows.length - 1, to));
  return scrollTo({ ...state, selected: rows[index]?.key }, index, page);
}

function target(key: Key, at: number, rows: number, page: number): number | undefined {
  switch (key.name) {
    case 'up':
    case 'k':
      return at < 0 ? 0 : at - 1;
    case 'down':
    case 'j':
      return at + 1;
    case 'pageup':
      return Math.max(0, at) - page;
    case 'pagedown':
      return Math.max(0, at) + page;
    case 'home':
      return 0;
    case 'end':
      return rows - 1;
    default:
      return undefined;
  }
}

/** Moves the window over the rows as little as is needed to show row `index`. */
export function scrollTo(state: TopState, index: number, page: number): TopState {
  if (index < state.offset) return { ...state, offset: index };
  if (index >= state.offset + page) return { ...state, offset: index - page + 1 };
  return state;
}

function command(state: TopState, key: Key): KeyResult {
  const letter = key.ctrl ? '' : (key.text ?? '');
  const sort = ALIASES[letter] ?? BY_KEY.get(letter);
  if (sort !== undefined) {
    // The same key again turns the order round.
    const reverse = sort === state.sort ? !state.reverse : false;
    return { state: { ...state, sort, reverse, offset: 0 }, effect: 'refresh' };
  }
  if (letter === 'q') return { state, effect: 'quit' };
  if (letter === 'r') return { state: { ...state, reverse: !state.reverse, offset: 0 }, effect: 'refresh' };
  if (letter === '/') return { state: { ...state, typing: state.filter }, effect: 'none' };
  if (letter === '?' || letter === 'h') return { state: { ...state, view: 'help' }, effect: 'none' };
  if (letter === ' ') return { state: { ...state, paused: !state.paused }, effect: 'refresh' };
  if (letter === ']' || key.name === 'tab') return stepNode(state, 1);
  if (letter === '[') return stepNode(state, -1);
  if (key.name === 'return' || key.name === 'enter') {
    return { state: selectedIndex(state) < 0 ? state : { ...state, view: 'detail' }, effect: 'none' };
  }
  if (key.name === 'escape') return clear(state);
  return { state, effect: 'none' };
}

/** Escape takes back the mark, then the filter. */
function clear(state: TopState): KeyResult {
  if (state.selected !== undefined) return { state: { ...state, selected: undefined, offset: 0 }, effect: 'none' };
  return { state: { ...state, filter: '', offset: 0 }, effect: state.filter === '' ? 'none' : 'refresh' };
}

function stepNode(state: TopState, step: number): KeyResult {
  const nodes = state.snapshot?.nodes ?? [];
  if (nodes.length < 2) return { state, effect: 'none' };
  const at = nodes.indexOf(state.node ?? '');
  const node = nodes[(at + step + nodes.length) % nodes.length];
  return { state: { ...state, node, selected: undefined, offset: 0 }, effect: 'refresh' };
}
