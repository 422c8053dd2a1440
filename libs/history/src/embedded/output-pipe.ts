import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** The reading end of a named pipe into which the engine writes one result. */
export interface OutputPipe {
  /** What the engine wrote; ends after `finish`, once all of it is read. */
  stream: Socket;
  /** To be called when the engine is done with the pipe, whether it wrote or not. */
  finish(): void;
}

/**
 * Opens the pipe before the engine does. A writing end is held until `finish`: without one, reading would end before
 * the engine has opened the pipe, and the engine's own opening would wait for a reader.
 */
export function openOutputPipe(path: string): OutputPipe {
  const holder = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stream = new Socket({ fd: reader, readable: true, writable: false });
  let open = true;
  return {
    stream,
    finish() {
      if (open) closeSync(holder);
      open = false;
    },
  };
}
