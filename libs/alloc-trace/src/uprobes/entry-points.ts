/**
 * What the entry points of allocators take and give, x86-64 System V: rdi, rsi, rdx are the first three arguments.
 * `allocate` gives its block in rax; `place` writes it where its first argument points; `move` is a realloc.
 */
export type EntryKind = 'allocate' | 'place' | 'move' | 'release';

export interface EntryPoint {
  kind: EntryKind;
  /** Bytes asked for, from the first three arguments. NaN when the product leaves 2^53. */
  size(first: number, second: number, third: number): number;
}

const FIRST: EntryPoint = { kind: 'allocate', size: (first) => first };
const SECOND: EntryPoint = { kind: 'allocate', size: (_first, second) => second };
const PRODUCT: EntryPoint = { kind: 'allocate', size: (first, second) => first * second };
const PLACE: EntryPoint = { kind: 'place', size: (_first, _second, third) => third };
const MOVE: EntryPoint = { kind: 'move', size: (_first, second) => second };
const MOVE_PRODUCT: EntryPoint = { kind: 'move', size: (_first, second, third) => second * third };
const RELEASE: EntryPoint = { kind: 'release', size: () => 0 };

/** Names with the prefixes that an allocator linked under another name bears. */
const PLAIN: readonly (readonly [string, EntryPoint])[] = [
  ['malloc', FIRST],
  ['calloc', PRODUCT],
  ['realloc', MOVE],
  ['reallocarray', MOVE_PRODUCT],
  ['free', RELEASE],
  ['posix_memalign', PLACE],
  ['aligned_alloc', SECOND],
  ['memalign', SECOND],
  ['valloc', FIRST],
  ['pvalloc', FIRST],
  ['cfree', RELEASE],
  ['free_sized', RELEASE],
  ['free_aligned_sized', RELEASE],
  ['mallocx', FIRST],
  ['rallocx', MOVE],
  ['dallocx', RELEASE],
  ['sdallocx', RELEASE],
];

/** operator new and delete of allocators that do not go through their own malloc (Itanium C++ ABI names). */
const CXX: readonly (readonly [string, EntryPoint])[] = [
  ...['m', 'mRKSt9nothrow_t', 'mSt11align_val_t', 'mSt11align_val_tRKSt9nothrow_t'].flatMap((rest) =>
    ['_Znw', '_Zna'].map((name) => [`${name}${rest}`, FIRST] as const),
  ),
  ...['', 'm', 'RKSt9nothrow_t', 'St11align_val_t', 'mSt11align_val_t', 'St11align_val_tRKSt9nothrow_t'].flatMap(
    (rest) => ['_ZdlPv', '_ZdaPv'].map((name) => [`${name}${rest}`, RELEASE] as const),
  ),
];

/** The allocator that everybody calls. */
export const STANDARD_ENTRIES: readonly (readonly [string, EntryPoint])[] = [...PLAIN, ...CXX];

/** Allocators under names of their own: jemalloc in Rust programs and elsewhere, mimalloc called directly. */
export const PREFIXES = ['_rjem_', 'je_', 'mi_'] as const;

export const PREFIXED_ENTRIES: readonly (readonly [string, EntryPoint])[] = PREFIXES.flatMap((prefix) =>
  PLAIN.map(([name, entry]) => [`${prefix}${name}`, entry] as const),
);
