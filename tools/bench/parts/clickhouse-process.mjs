// ClickHouse's engine as a process of its own, as `npm run clickhouse` runs it.
import { startNode } from './node-process.mjs';

const START_MS = 60_000;

export async function startClickHouse(directory) {
  const [username, password] = ['default', 'benchmark'];
  const child = startNode('tools/clickhouse.mjs', ['--data', directory, '--port', '0', '--admin-password', password]);
  const end = performance.now() + START_MS;
  for (;;) {
    const url = /^ready (\S+)/m.exec(child.output())?.[1];
    if (url) return { ...child, url, username, password };
    if (performance.now() > end) throw new Error('ClickHouse did not start within a minute');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The answer as text. Throws Error with the server's words. */
export async function askClickHouse({ url, username, password }, sql) {
  const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
  const response = await fetch(url, { method: 'POST', headers, body: sql });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}
