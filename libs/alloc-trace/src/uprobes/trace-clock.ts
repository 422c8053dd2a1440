/** The clock of the traces: CLOCK_MONOTONIC. Nanoseconds. */
export const traceNow = (): number => Number(process.hrtime.bigint());
