/** How one part of the system is. `live` false means only a restart helps; `ready` false means not now. */
export interface Health {
  live: boolean;
  ready: boolean;
  /** One line for a person. */
  detail: string;
}

export interface HealthReport {
  live: boolean;
  ready: boolean;
  parts: Record<string, Health>;
}

/** Every part by name, asked anew at each call: live and ready only when all are. */
export function healthReport(parts: Readonly<Record<string, () => Health>>): HealthReport {
  const asked = Object.entries(parts).map(([name, ask]) => [name, ask()] as const);
  return {
    live: asked.every(([, health]) => health.live),
    ready: asked.every(([, health]) => health.ready),
    parts: Object.fromEntries(asked),
  };
}
