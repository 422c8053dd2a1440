// Sends records in order, one batch after the other; what the log refuses is sent again until it takes it.

const BATCH_RECORDS = 256;
const BATCH_BYTES = 1024 * 1024;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * @param {{ log: { append(records: object[]): Promise<void> }, onAcknowledged: (entry: object) => void,
 *   onRefused: (error: Error) => void }} options
 */
export function createLane({ log, onAcknowledged, onRefused }) {
  let queue = [];
  let head = 0;
  let bytes = 0;
  let working;
  let stopped = false;
  let wakeUp = () => {};

  function take() {
    const batch = [];
    let size = 0;
    while (head < queue.length && batch.length < BATCH_RECORDS && (batch.length === 0 || size < BATCH_BYTES)) {
      const one = queue[head++];
      size += one.bytes;
      batch.push(one);
    }
    if (head === queue.length) [queue, head] = [[], 0];
    return { batch, size };
  }

  async function pump() {
    // What is made in one go goes out together.
    await Promise.resolve();
    while (head < queue.length && !stopped) {
      const { batch, size } = take();
      let pause = FIRST_PAUSE_MS;
      for (;;) {
        try {
          await log.append(batch.map(({ record }) => record));
          break;
        } catch (error) {
          onRefused(error);
          if (stopped) return;
          await sleep(pause);
          pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        }
      }
      bytes -= size;
      for (const { entry } of batch) onAcknowledged(entry);
    }
  }

  function sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    get waitingBytes() {
      return bytes;
    },
    get idle() {
      return working === undefined;
    },
    send(record, entry) {
      const size = record.key.length + record.value.byteLength;
      queue.push({ record, entry, bytes: size });
      bytes += size;
      working ??= pump().finally(() => (working = undefined));
    },
    /** Gives up what was not acknowledged. */
    stop() {
      stopped = true;
      wakeUp();
    },
  };
}
