export { ElfError, type ElfErrorCode } from './elf-error.js';
export { openElf, type ElfFile } from './elf.js';
export type { ElfFunction, FunctionTable, NearestFunction } from './elf-functions.js';
export type { ElfMachine, ElfSection, ElfSegment, ElfType } from './elf-layout.js';
export { demangle } from './demangle.js';
export { createSymbolizer, type Symbolizer, type SymbolizerOptions } from './symbolizer.js';
