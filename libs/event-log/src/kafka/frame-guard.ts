import type { Socket } from 'node:net';

/** More than a broker has to say at once: an answer to a fetch ends at 8 MiB, or behind its first batch. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;
/** Its correlation id. */
const MIN_ANSWER_BYTES = 4;

/**
 * Ends a socket whose other end does not speak Kafka, with an error that says so. kafkajs believes whatever size comes
 * first: it would throw where nobody can catch it, or wait for gigabytes.
 */
export function guardFrames(socket: Socket): void {
  const checkFrames = createFrameCheck();
  const on = socket.on.bind(socket) as (event: string, listener: (...given: never[]) => void) => Socket;
  const guarded =
    (listener: (bytes: Buffer) => void) =>
    (bytes: Buffer): void => {
      if (socket.destroyed) return;
      try {
        checkFrames(bytes);
        listener(bytes);
      } catch (error) {
        socket.destroy(error as Error);
      }
    };
  socket.on = ((event: string, listener: (...given: never[]) => void) =>
    on(event, event === 'data' ? guarded(listener as never) : listener)) as Socket['on'];
}

/** Follows a stream of frames, each a size in 4 bytes and so many bytes; throws at a size that cannot be. */
export function createFrameCheck(): (bytes: Buffer) => void {
  /** Bytes of the frame that are still to come, or those of its size that did. */
  let left = 0;
  let sizeBytes = 0;
  let size = 0;
  return (bytes) => {
    for (let at = 0; at < bytes.length;) {
      if (left > 0) {
        const skipped = Math.min(left, bytes.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      size = (size << 8) | bytes[at++]!;
      if (++sizeBytes < 4) continue;
      if (size < MIN_ANSWER_BYTES || size > MAX_ANSWER_BYTES) {
        throw new Error(`what listens there does not speak Kafka: an answer of ${size} bytes`);
      }
      [left, size, sizeBytes] = [size, 0, 0];
    }
  };
}
