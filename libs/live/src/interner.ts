/**
 * Numbers texts that many processes share (program, user, service, control group), so that a process costs four bytes
 * for each and a filter compares numbers. A text nobody holds any more is forgotten: container names come and go.
 */
export interface Interner {
  /** One more holder of the text; null, and a new text when there is no room, are 0, which is never counted. */
  acquire(text: string | null): number;
  release(id: number): void;
  text(id: number): string | null;
  /** 0 when nobody holds it. */
  find(text: string): number;
  /** Every id is below this. */
  readonly end: number;
}

/** @param maxChars Characters of all texts together. */
export function createInterner(maxChars: number): Interner {
  const ids = new Map<string, number>();
  const texts: (string | null)[] = [null];
  const holders: number[] = [0];
  const free: number[] = [];
  let chars = 0;
  return {
    acquire(text) {
      if (text === null) return 0;
      const known = ids.get(text);
      if (known !== undefined) {
        holders[known] = (holders[known] ?? 0) + 1;
        return known;
      }
      if (chars + text.length > maxChars) return 0;
      chars += text.length;
      const id = free.pop() ?? texts.length;
      texts[id] = text;
      holders[id] = 1;
      ids.set(text, id);
      return id;
    },
    release(id) {
      if (id === 0) return;
      const left = (holders[id] ?? 0) - 1;
      holders[id] = left;
      if (left > 0) return;
      const text = texts[id];
      if (typeof text === 'string') {
        ids.delete(text);
        chars -= text.length;
      }
      texts[id] = null;
      free.push(id);
    },
    text: (id) => texts[id] ?? null,
    find: (text) => ids.get(text) ?? 0,
    get end() {
      return texts.length;
    },
  };
}
