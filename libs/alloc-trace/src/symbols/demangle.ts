import { demangleItanium } from './demangle-itanium.js';
import { demangleRust, plainRustPath } from './demangle-rust.js';

/** Longer names are left as they are. */
const MAX_NAME = 16_384;

/** A linked name as a person wrote it (C++ of the Itanium ABI, Rust), or the name itself when it is neither. */
export function demangle(name: string): string {
  if (name.length > MAX_NAME) return name;
  return demangleRust(name) ?? demangleItanium(name) ?? name;
}

/** Symbols of old versions of a function: `__libc_start_main@GLIBC_2.2.5`. */
const VERSIONED = /^([\w.$]+)@{1,2}[A-Za-z_][\w.]*$/;

/** For names that a tool has demangled as C++, or could not: old Rust names look like C++ with a hash at their end. */
export function readableName(given: string): string {
  const name = VERSIONED.exec(given)?.[1] ?? given;
  return /^_(?:Z|_Z|R)/.test(name) ? demangle(name) : (plainRustPath(name) ?? name);
}
