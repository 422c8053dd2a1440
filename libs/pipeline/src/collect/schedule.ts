/** What is due in one round. */
export interface Turn<Name extends string> {
  due: ReadonlySet<Name>;
  /** How much too late the round begins, milliseconds: of the source that waited longest. */
  latenessMs: number;
  /** Times at which a source should have been read but was not, because a round before took too long; per source. */
  skipped: ReadonlyMap<Name, number>;
}

export interface Schedule<Name extends string> {
  /** Monotonic time at which the next source is due. */
  next(): number;
  /** Takes what is due at `now`; each source's next time stays a multiple of its period from the origin. */
  take(now: number): Turn<Name>;
}

/**
 * Times of sources with different periods, which never drift: a late round does not move the rounds after it, and
 * rounds that were missed are counted, not made up for. Sources of the same period stay together in one round.
 */
export function createSchedule<Name extends string>(
  periods: Readonly<Record<Name, number>>,
  origin: number,
): Schedule<Name> {
  const names = Object.keys(periods) as Name[];
  const turns = new Map<Name, number>(names.map((name) => [name, 0]));
  const dueAt = (name: Name): number => origin + turns.get(name)! * periods[name];
  return {
    next: () => names.reduce((soonest, name) => Math.min(soonest, dueAt(name)), Number.POSITIVE_INFINITY),
    take(now) {
      const due = new Set<Name>();
      const skipped = new Map<Name, number>();
      let latenessMs = 0;
      for (const name of names) {
        const late = now - dueAt(name);
        if (late < 0) continue;
        due.add(name);
        latenessMs = Math.max(latenessMs, late);
        const missed = Math.floor(late / periods[name]);
        if (missed > 0) skipped.set(name, missed);
        turns.set(name, turns.get(name)! + missed + 1);
      }
      return { due, latenessMs, skipped };
    },
  };
}
