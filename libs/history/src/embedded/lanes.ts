import { EngineException } from './exception.js';

export interface Lane {
  /** Which of the lanes it is, from 0. */
  index: number;
  release(): void;
}

/** A fixed number of places to run in, and a bounded queue before them, first come first served. */
export interface Lanes {
  /**
   * @throws EngineException TOO_MANY_SIMULTANEOUS_QUERIES when the queue is full; the signal's reason when it aborts
   * while waiting.
   */
  take(signal: AbortSignal): Promise<Lane>;
  readonly running: number;
  readonly waiting: number;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
}

interface Waiter {
  admit(index: number): void;
}

export function createLanes(count: number, maxWaiting: number): Lanes {
  const free = Array.from({ length: count }, (_, index) => index).reverse();
  const queue: Waiter[] = [];
  const idleWaiters: (() => void)[] = [];

  const release = (index: number) => {
    const waiter = queue.shift();
    if (waiter !== undefined) {
      waiter.admit(index);
      return;
    }
    free.push(index);
    if (free.length === count) idleWaiters.splice(0).forEach((resolve) => resolve());
  };
  const laneOf = (index: number): Lane => {
    let held = true;
    return {
      index,
      release: () => {
        if (held) release(index);
        held = false;
      },
    };
  };

  return {
    get running() {
      return count - free.length;
    },
    get waiting() {
      return queue.length;
    },
    idle: () => (free.length === count ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve))),
    take(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      const index = free.pop();
      if (index !== undefined) return Promise.resolve(laneOf(index));
      if (queue.length >= maxWaiting) {
        const sentence = `Too many simultaneous queries. Maximum: ${count} running and ${maxWaiting} waiting`;
        return Promise.reject(new EngineException(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', sentence));
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          queue.splice(queue.indexOf(waiter), 1);
          reject(signal.reason as Error);
        };
        const waiter: Waiter = {
          admit(lane) {
            signal.removeEventListener('abort', leave);
            resolve(laneOf(lane));
          },
        };
        signal.addEventListener('abort', leave, { once: true });
        queue.push(waiter);
      });
    },
  };
}
