type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>;

/** Asks again and again until the answer is truthy, and gives it; fails naming `what` after `ms`. */
export async function until<T>(what: string, ask: () => T | Promise<T>, ms = 60_000): Promise<Truthy<T>> {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as Truthy<T>;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
