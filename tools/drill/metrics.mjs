// Counters that must stay at zero, watched while the parts live: a restart begins them anew.

const MUST_BE_ZERO = [
  'tidemark_record_lost_batches_total',
  'tidemark_record_rejected_total',
  'tidemark_collect_dropped_records_total',
  'tidemark_log_dropped_records_total',
];
const INTERVAL_MS = 2_000;

export async function scrape(url) {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2_000) });
  const values = new Map();
  for (const line of (await response.text()).split('\n')) {
    const [, name, value] = /^([a-zA-Z_:]+)(?:\{[^}]*\})? ([0-9.e+-]+)/.exec(line) ?? [];
    if (name) values.set(name, (values.get(name) ?? 0) + Number(value));
  }
  return values;
}

/** @param {{ names: () => string[], url: (name: string) => string }} system */
export function watchCounters(system) {
  const highest = new Map();
  const look = async () => {
    for (const name of system.names()) {
      const values = await scrape(system.url(name)).catch(() => new Map());
      for (const counter of MUST_BE_ZERO) {
        const value = values.get(counter) ?? 0;
        if (value > (highest.get(`${name} ${counter}`) ?? 0)) highest.set(`${name} ${counter}`, value);
      }
    }
  };
  let looking = Promise.resolve();
  const timer = setInterval(() => (looking = look()), INTERVAL_MS);
  return {
    /** What was counted above zero, one line each. */
    async end() {
      clearInterval(timer);
      await looking;
      await look();
      return [...highest].map(([name, value]) => ({ name, value }));
    },
  };
}
