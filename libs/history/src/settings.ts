import { z } from 'zod';

const whole = (min: number, max: number) => {
  const range = `must be a whole number from ${min} to ${max}`;
  return z.number(range).int(range).min(min, range).max(max, range);
};
const text = z.string('must be text');

/** Settings of a connection to a ClickHouse server that a user may set, each with its default. */
export const historySettings = z.object({
  /** `http://host:port` or `https://host:port` of its HTTP interface. */
  url: text
    .regex(/^https?:\/\/[^/?#@]+\/?$/, 'must be http://host:port or https://host:port')
    .default('http://127.0.0.1:8123'),
  username: text.default('default'),
  password: text.default(''),
  passwordFile: text.default(''),
  database: text.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be letters, digits and '_'").default('tidemark'),
  /** PEM file of the authorities that are trusted, for https; those of the system when empty. */
  caFile: text.default(''),
  /** Name of the cluster that the tables are replicated over (`ON CLUSTER`); empty: one server. */
  cluster: text.regex(/^[A-Za-z0-9_{}-]{0,128}$/, "must be letters, digits, '_' or '-', or a macro").default(''),
  /** Whether the writer makes and changes the tables; false where somebody else does. */
  migrate: z.boolean('must be true or false').default(true),
  rawDays: whole(1, 3650).default(2),
  minuteDays: whole(1, 3650).default(30),
  hourDays: whole(1, 3650).default(400),
});

export type HistorySettings = z.output<typeof historySettings>;
