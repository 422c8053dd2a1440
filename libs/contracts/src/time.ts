/** 3000-01-01, epoch milliseconds: a later time in a record is damage, and would outlive every retention. */
export const MAX_TIME = 32_503_680_000_000;
