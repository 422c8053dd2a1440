import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Health } from './health.js';
import { Gauge, Registry } from './metrics.js';
import { startStatusServer, type StatusServer, type StatusServerOptions } from './status-server.js';

const fine: Health = { live: true, ready: true, detail: 'fine' };
const opened: StatusServer[] = [];
afterEach(async () => void (await Promise.all(opened.splice(0).map((server) => server.close(100)))));

async function open(options: Partial<StatusServerOptions> = {}) {
  const server = await startStatusServer({
    ...{ host: '127.0.0.1', port: 0, health: {}, registry: new Registry() },
    ...options,
  });
  opened.push(server);
  return server;
}

/** With a Host header of the caller's choice, which `fetch` does not allow. */
function ask(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      let body = '';
      response
        .on('data', (part) => (body += part))
        .on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

describe('the status server', () => {
  it('is ready when every part is, and tells which one is not and why', async () => {
    const health: Record<string, () => Health> = { log: () => fine };
    const { url } = await open({ health });
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    health['history'] = () => ({ live: true, ready: false, detail: 'no answer' });
    const response = await fetch(`${url}/health/ready`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      live: true,
      ready: false,
      parts: { log: fine, history: { live: true, ready: false, detail: 'no answer' } },
    });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    health['history'] = () => ({ live: false, ready: false, detail: 'dead' });
    expect((await fetch(`${url}/health/live`)).status).toBe(503);
  });

  it('is not ready any more while it stops', async () => {
    const server = await open({ health: { log: () => fine } });
    server.stopping();
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  });

  it('gives metrics as Prometheus reads them', async () => {
    const registry = new Registry();
    new Gauge({ name: 'answer', help: 'x', registers: [registry] }).set(42);
    const { url } = await open({ registry });
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toBe(registry.contentType);
    expect(await response.text()).toContain('\nanswer 42\n');
  });

  it('answers nothing else, and names what there is', async () => {
    const { url } = await open();
    expect((await fetch(`${url}/other`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  });

  it('listens beyond loopback with a token alone, and tells strangers only whether it is ready', async () => {
    await expect(open({ host: '0.0.0.0' })).rejects.toThrow(
      /status\.host: will not listen on 0\.0\.0\.0 without a token/,
    );
    await expect(open({ host: '0.0.0.0', token: 'short' })).rejects.toThrow(/status\.token: is shorter than 8/);
    const token = 'long-enough-token';
    const server = await open({ host: '0.0.0.0', token, health: { log: () => fine } });
    const url = server.url.replace('0.0.0.0', '127.0.0.1');
    expect(await ask(`${url}/health/ready`)).toEqual({ status: 200, body: '{"live":true,"ready":true}' });
    expect((await ask(`${url}/metrics`)).status).toBe(401);
    expect((await ask(`${url}/metrics`, { authorization: 'Bearer not-the-token' })).status).toBe(401);
    expect((await ask(`${url}/metrics`, { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await ask(`${url}/health/ready`, { authorization: `Bearer ${token}` })).body).toContain('"log"');
  });

  it('refuses on loopback whoever calls it by a foreign name', async () => {
    const { url } = await open();
    expect((await ask(`${url}/health/live`, { host: 'evil.example:9464' })).status).toBe(403);
    expect((await ask(`${url}/health/live`, { host: 'localhost' })).status).toBe(200);
  });

  it('names the port that is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    await expect(open({ port })).rejects.toThrow(`status.port: port ${port} of 127.0.0.1 is in use`);
    other.close();
    await expect(open({ host: '192.0.2.1', token: 'long-enough-token' })).rejects.toThrow(
      /status\.host: .*192\.0\.2\.1/,
    );
  });
});
