import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { href, parsePlace, withSearch } from './route.js';

const route = (hash: string) => parsePlace(hash).route;

describe('addresses', () => {
  it('lead to the views', () => {
    expect(route('')).toEqual({ view: 'cluster' });
    expect(route('#/')).toEqual({ view: 'cluster' });
    expect(route('#/nodes/web-1')).toEqual({ view: 'node', node: 'web-1' });
    expect(route('#/nodes/web-1/pids/42')).toEqual({ view: 'pid', node: 'web-1', pid: 42 });
    expect(route('#/processes/web-1/boot/42/77')).toEqual({ view: 'process', key: 'web-1/boot/42/77' });
    expect(route('#/findings')).toEqual({ view: 'findings' });
    expect(route('#/findings/a%231')).toEqual({ view: 'findings', id: 'a#1' });
    expect(route('#/programs/a%2Fb')).toEqual({ view: 'program', program: 'a/b' });
  });

  it.each(['#/nowhere', '#/nodes', '#/nodes/a/b', '#/nodes/a/pids/x', '#/processes/a/b', '#/nodes/%zz'])(
    'of nothing are said to be: %s',
    (hash) => {
      expect(route(hash).view).toBe('unknown');
    },
  );

  it('hold whatever a host chose as a name, and never lead off the page', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (name) => {
        const hash = href.program(name);
        expect(hash).toMatch(/^#\/programs\/[^/?#]+$/);
        expect(route(hash)).toEqual({ view: 'program', program: name });
        expect(route(href.finding(name))).toEqual({ view: 'findings', id: name });
        expect(route(href.node(name))).toEqual({ view: 'node', node: name });
      }),
    );
  });

  it('replace halves of characters, which no address can hold', () => {
    expect(route(href.program('a\ud800b'))).toEqual({ view: 'program', program: 'a\ufffdb' });
  });

  it('keep settings, change some and take some away', () => {
    const hash = withSearch('#/nodes/a?sort=RSS&text=x', { text: undefined, dir: 'ASC' });
    expect(hash).toBe('#/nodes/a?sort=RSS&dir=ASC');
    expect(parsePlace(hash).search.get('sort')).toBe('RSS');
    expect(withSearch(hash, { sort: '', dir: '' })).toBe('#/nodes/a');
    expect(withSearch('', { text: 'a&b=c' })).toBe('#/?text=a%26b%3Dc');
    expect(parsePlace('#/?text=a%26b%3Dc').search.get('text')).toBe('a&b=c');
  });
});
