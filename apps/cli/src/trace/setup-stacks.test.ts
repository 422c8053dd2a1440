import { describe, expect, it } from 'vitest';
import type { StackFrame } from '@tidemark/contracts';
import { setupIn } from './setup-stacks.js';

function stack(...functions: (string | null)[]): StackFrame[] {
  return functions.map((name) => ({
    ...{ function: name, file: null, line: null, module: '/lib/libc.so.6', buildId: null, offset: 1, inlined: false },
  }));
}

describe('a stack that sets something up', () => {
  it('is known by the function of the C library that it goes through', () => {
    expect(setupIn(stack('_nl_find_locale', 'setlocale', 'main'), 5)).toBe('setlocale');
    expect(setupIn(stack('strdup', 'setlocale@@GLIBC_2.2.5', null), 5)).toBe('setlocale');
    expect(setupIn(stack('_dl_new_object', 'dlopen@GLIBC_2.34', 'main'), 5)).toBe('dlopen');
  });

  it('is none when only names resemble it, or there are no names', () => {
    expect(setupIn(stack('my_setlocale', 'main'), 5)).toBeNull();
    expect(setupIn(stack(null, null), 5)).toBeNull();
  });

  it('counts for nothing once the process has lived for long: then it leaks, set up or not', () => {
    expect(setupIn(stack('dlopen', 'reload_plugin', 'main'), 60_000)).toBeNull();
  });
});
