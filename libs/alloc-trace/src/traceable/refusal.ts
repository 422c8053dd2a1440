/** Why something cannot be traced. */
export type RefusalCode =
  | 'NO_PROCESS'
  | 'ZOMBIE'
  | 'KERNEL_THREAD'
  | 'STATIC'
  | 'SECURE'
  | 'OTHER_ARCHITECTURE'
  | 'MUSL'
  /** It runs with the library, of another release perhaps, and its ring file cannot be read. */
  | 'DAMAGED_RING'
  | 'NO_PRIVILEGE'
  | 'NO_UPROBES'
  | 'NO_TRACEFS'
  | 'NOT_FOUND'
  | 'NOT_EXECUTABLE';

export interface Refusal {
  code: RefusalCode;
  /** One sentence for a person: what, why, and what to do where something can be done. */
  sentence: string;
}

export function refuse(code: RefusalCode, sentence: string): Refusal {
  return { code, sentence };
}
