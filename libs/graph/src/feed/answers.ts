/** Lets whoever asked something of a node wait for its answer. */
export interface Answers {
  /** True when the request was answered within `ms`. */
  wait(id: string, ms: number): Promise<boolean>;
  tell(id: string): void;
  /** Nobody waits any longer. */
  close(): void;
}

export function createAnswers(): Answers {
  const waiting = new Map<string, (answered: boolean) => void>();
  let closed = false;
  return {
    wait(id, ms) {
      if (closed) return Promise.resolve(false);
      return new Promise((resolve) => {
        const timer = setTimeout(() => end(false), ms);
        const end = (answered: boolean) => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(answered);
        };
        waiting.set(id, end);
      });
    },
    tell: (id) => waiting.get(id)?.(true),
    close() {
      closed = true;
      for (const end of [...waiting.values()]) end(false);
    },
  };
}
