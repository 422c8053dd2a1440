import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expect, it } from 'vitest';
import { freePorts } from '../tools/free-ports.mjs';

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });

it('free ports are free, differ, and are none that the kernel gives to whoever connects', async () => {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  const ports = await freePorts(40);
  expect(new Set(ports).size).toBe(40);
  const servers = await Promise.all(ports.map(listen));
  for (const port of ports) expect(port < range[0]! || port > range[1]!).toBe(true);
  const others = await freePorts(40);
  expect(others.filter((port) => ports.includes(port))).toEqual([]);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

it('too many are refused in one line', async () => {
  await expect(freePorts(70_000)).rejects.toThrow(/no 70000 free ports of 127\.0\.0\.1 from \d+ to \d+/);
});
