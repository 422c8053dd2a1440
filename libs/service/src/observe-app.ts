import { collectDefaultMetrics, Registry } from './metrics.js';
import type { AppContext } from './run-app.js';
import { startStatusServer } from './status-server.js';

/** The metrics of an app, those of its process among them. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/**
 * Opens the status server of an app; called first, so that it tells why the app is not ready yet, and stopped last. Throws
 * as `startStatusServer`.
 */
export async function openStatus(
  { health, lifecycle, stopping, say }: AppContext,
  registry: Registry,
  where: { host: string; port: number; token: string | undefined },
): Promise<void> {
  const server = await startStatusServer({ ...where, health, registry });
  stopping.addEventListener('abort', () => server.stopping(), { once: true });
  lifecycle.add({ name: 'status', stop: (deadlineMs) => server.close(deadlineMs) });
  say(`Status ${server.url}/health/ready and /metrics`);
}
