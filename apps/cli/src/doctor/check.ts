/** ok: works. limited: Tidemark runs, but sees or does less. missing: Tidemark cannot run, or not its main part. */
export type CheckStatus = 'ok' | 'limited' | 'missing';

/** What was found out about one need. */
export interface Check {
  name: string;
  status: CheckStatus;
  /** What was found, and what follows from it. */
  detail: string;
  /** What to do about it; null when there is nothing to do. */
  advice: string | null;
}

export function ok(name: string, detail: string): Check {
  return { name, status: 'ok', detail, advice: null };
}

export function limited(name: string, detail: string, advice: string | null = null): Check {
  return { name, status: 'limited', detail, advice };
}

export function missing(name: string, detail: string, advice: string | null = null): Check {
  return { name, status: 'missing', detail, advice };
}
