import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { demangle, readableName } from './demangle.js';
import { available, present, run, temporaryDirectory } from './programs.oracle.js';

const directory = temporaryDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cplusplus = ['g++', 'nm', 'c++filt'].every((command) => available(command));

/** Tools differ in blanks between closing brackets alone. */
function normalized(text: string): string {
  return text
    .replace(/> (?=>)/g, '>')
    .replaceAll('decltype(nullptr)', 'std::nullptr_t')
    .replace(/std::basic_(string|[io]+stream)<char, std::char_traits<char>(?:, std::allocator<char>)?>/g, 'std::$1');
}

/** Every form of name that programs are full of. */
const source = `
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
namespace outer { namespace { int hidden(int x) { return x + 1; } }
template <typename T, int N> struct Box {
  T items[N]; Box(); explicit Box(const T &); ~Box();
  T &at(unsigned long i) const volatile; Box operator+(const Box &) const; operator bool() const;
  void *operator new(unsigned long); bool operator()(int) &&; T operator[](int) const &;
  template <typename U> U as(U (*convert)(const T &), int T::*member) const;
};
struct Plain { int field; Plain(int = 0); virtual ~Plain(); static void call(void (*)(Plain *, const char *), int (&)[3], char **const *); };
Plain::Plain(int x) : field(hidden(x)) {}
Plain::~Plain() {}
void Plain::call(void (*f)(Plain *, const char *), int (&a)[3], char **const *) { f(nullptr, a ? "" : nullptr); }
template <typename T, int N> Box<T, N>::Box() {}
template <typename T, int N> Box<T, N>::Box(const T &) {}
template <typename T, int N> Box<T, N>::~Box() {}
template <typename T, int N> T &Box<T, N>::at(unsigned long i) const volatile { return const_cast<T &>(items[i]); }
template <typename T, int N> Box<T, N> Box<T, N>::operator+(const Box &) const { return *this; }
template <typename T, int N> Box<T, N>::operator bool() const { return true; }
template <typename T, int N> void *Box<T, N>::operator new(unsigned long n) { return ::operator new(n); }
template <typename T, int N> bool Box<T, N>::operator()(int) && { return false; }
template <typename T, int N> T Box<T, N>::operator[](int i) const & { return items[i]; }
template <typename T, int N> template <typename U> U Box<T, N>::as(U (*convert)(const T &), int T::*) const { return convert(items[0]); }
template struct Box<Box<Plain, 2>, 3>;
template <> Box<Plain, 1>::Box() : items{Plain(1)} {}
template long Box<Plain, 1>::as<long>(long (*)(const Plain &), int Plain::*) const;
template <typename... All> int sum(All &&...all) { return sizeof...(all); }
template int sum<>(); template int sum<int, const char *&, std::string>(int &&, const char *&, std::string &&);
template <bool B, char C, long L, unsigned U> void literals() {} template void literals<true, 'x', -7L, 9u>();
std::map<std::string, std::vector<std::unique_ptr<int>>> build(std::function<bool(const std::string &, int)> f, decltype(nullptr)) {
  auto inner = [&](const std::string &s, int i) { return f(s, i); };
  std::function<bool(const std::string &, int)> again = inner; again("", 1); return {};
}
int overloaded(unsigned char, signed char, wchar_t, char16_t, char32_t, long long, unsigned long long, __int128, float, double, long double, bool, ...) { return 0; }
}
long operator""_units(unsigned long long x) { return x; }
`;

describe.skipIf(!cplusplus)('C++ names', () => {
  it('read as c++filt writes them', () => {
    const file = join(directory, 'names.cc');
    writeFileSync(file, source);
    run('g++', ['-std=c++17', '-w', '-O0', '-c', file, '-o', `${file}.o`]);
    const names = run('nm', ['--defined-only', `${file}.o`])
      .split('\n')
      .flatMap((line) => /_Z\S+$/.exec(line) ?? []);
    const wanted = run('c++filt', [], `${names.join('\n')}\n`).split('\n');
    const own = names.flatMap((name, index) => (/^_ZN[KRO]*5outer|_units/.test(name) ? [{ name, index }] : []));
    expect(own.length).toBeGreaterThan(20);
    const differing = own.filter(({ name, index }) => normalized(demangle(name)) !== normalized(wanted[index]!));
    expect(differing.map(({ name, index }) => [name, demangle(name), wanted[index]])).toEqual([]);
    // What the standard library adds has expressions in template arguments, too.
    const equal = names.filter((name, index) => normalized(demangle(name)) === normalized(wanted[index]!));
    expect(equal.length / names.length).toBeGreaterThan(0.9);
  });

  it('of the standard library agree with c++filt but for rare forms', () => {
    const library = run('g++', ['-print-file-name=libstdc++.so']).trim();
    const names = run('nm', ['-D', '--defined-only', '--without-symbol-versions', library])
      .split('\n')
      .flatMap((line) => /_Z\S+$/.exec(line) ?? []);
    const wanted = run('c++filt', [], `${names.join('\n')}\n`).split('\n');
    const equal = names.filter((name, index) => normalized(demangle(name)) === normalized(wanted[index]!));
    expect(names.length).toBeGreaterThan(1000);
    expect(equal.length / names.length).toBeGreaterThan(0.95);
  });

  it('keep what the compiler did to a function', () => {
    expect(demangle('_ZN2ns4workEi.constprop.0')).toBe('ns::work(int) [clone .constprop.0]');
  });
});

describe('Rust names', () => {
  // Second column: what rustc's own documentation and RFC 2603 say of the forms.
  it.each([
    ['_ZN4core3fmt5write17h0123456789abcdefE', 'core::fmt::write'],
    [
      '_ZN70_$LT$alloc..vec..Vec$LT$T$C$A$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE',
      '<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop',
    ],
    ['_RNvCs1234_7mycrate3foo', 'mycrate::foo'],
    ['_RNvMs_Cs4fqI2P2rA04_13const_genericINtB4_6StructKj7b_E3new', '<const_generic::Struct<123>>::new'],
    ['_RNvXs_CskDVkCs7_1aNtB4_1SNtB4_1T3run', '<a::S as a::T>::run'],
    ['_RNCNvCs1234_7mycrate4main0B3_', 'mycrate::main::{closure#0}'],
    ['_RINvCs1234_7mycrate3genReNtB2_4ThinTlhEE', 'mycrate::gen::<&str, mycrate::Thin, (i32, u8)>'],
  ])('%s', (name, wanted) => expect(demangle(name)).toBe(wanted));

  it('lose the hash that C++ tools leave', () => {
    expect(readableName('alloc::raw_vec::finish_grow::h0123456789abcdef')).toBe('alloc::raw_vec::finish_grow');
    expect(readableName('plain_c_function')).toBe('plain_c_function');
    expect(readableName('__libc_start_main@GLIBC_2.2.5')).toBe('__libc_start_main');
    expect(readableName('_Znwm@@GLIBCXX_3.4')).toBe('operator new(unsigned long)');
  });

  it.skipIf(!present('rustc'))('read the same whichever scheme the compiler used', () => {
    const file = join(directory, 'lib.rs');
    writeFileSync(
      file,
      `pub mod deep { pub struct Pot<T>(pub T);
       impl<T: Clone> Pot<T> { #[inline(never)] pub fn stir(&self, n: usize) -> Vec<T> { vec![self.0.clone(); n] } } }
       #[inline(never)] pub fn leak(n: usize) -> usize { deep::Pot(7u8).stir(n).len() + deep::Pot(String::new()).stir(n).len() }`,
    );
    const named = ['legacy', 'v0'].map((scheme) => {
      const unstable = scheme === 'legacy' ? ['-Zunstable-options'] : [];
      run('env', [
        'RUSTC_BOOTSTRAP=1',
        'rustc',
        '--crate-name=pots',
        '--crate-type=lib',
        '--emit=obj',
        ...unstable,
        `-Csymbol-mangling-version=${scheme}`,
        '-o',
        `${file}.o`,
        file,
      ]);
      const names = run('nm', ['--defined-only', `${file}.o`])
        .split('\n')
        .flatMap((line) => /_(?:ZN|R)\S+$/.exec(line)?.[0] ?? []);
      return names
        .map((name) => demangle(name))
        .filter((name) => name.startsWith('pots::') || name.startsWith('<pots'));
    });
    expect(named[0]).toContain('pots::leak');
    expect(named[1]).toContain('pots::leak');
    expect(named[0]!.some((name) => name.includes('Pot<T>::stir'))).toBe(true);
    expect(named[1]!.some((name) => name === '<pots::deep::Pot<u8>>::stir')).toBe(true);
  });
});

describe('any other text', () => {
  it('stays what it is, or becomes bounded text, and never hangs', { timeout: 60_000 }, () => {
    const piece = fc.constantFrom(
      '_Z',
      'N',
      'S_',
      'S0_',
      'T_',
      'I',
      'E',
      'J',
      'Dp',
      'P',
      'K',
      'R',
      'F',
      'v',
      'i',
      '3foo',
      'St',
      'Ss',
      'L',
      'X',
      'M',
      'A3_',
      'C1',
      'ZN',
      '_R',
      'B',
      'NtC',
      '_',
      's',
      'u',
      '17h0123456789abcdefE',
      'é',
    );
    fc.assert(
      fc.property(fc.constantFrom('_Z', '_ZN', '_R', ''), fc.array(piece, { maxLength: 200 }), (start, parts) => {
        const text = demangle(start + parts.join(''));
        expect(text.length).toBeLessThan(70_000);
        if (start === '' && !/^_(Z|_Z|R)/.test(parts.join(''))) expect(text).toBe(parts.join(''));
      }),
      { numRuns: 5000 },
    );
    // Each substitution doubles the one before.
    const bomb = `_Z1fI1aS_EI${Array.from({ length: 60 }, (_, i) => `1bIS${i.toString(36).toUpperCase()}_S${i.toString(36).toUpperCase()}_E`).join('')}Ev`;
    expect(demangle(bomb).length).toBeLessThan(70_000);
    expect(demangle(`_Z${'P'.repeat(100_000)}`)).toHaveLength(100_002);
    expect(demangle(`_Z1f${'P'.repeat(15_000)}`)).toBeTypeOf('string');
  });
});
