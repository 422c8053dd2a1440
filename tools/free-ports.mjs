// Ports for servers that are started later, and may be killed and started again at the same port.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Ports are chosen from so many below those that the kernel gives away by itself. */
const WIDTH = 12_000;
const LEAST = 1_024;
const TRIES = 1_000;

/**
 * Ports on which nobody listens now, each another. None is of those from which the kernel takes one for whoever connects to
 * something: such a port may be in use at any time, and a server that was killed could not have it back.
 */
export async function freePorts(count, host = '127.0.0.1') {
  const end = firstOfTheKernels();
  const begin = Math.max(LEAST, end - WIDTH);
  const ports = new Set();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries === TRIES) throw new Error(`no ${count} free ports of ${host} from ${begin} to ${end - 1}`);
    const port = begin + Math.floor(Math.random() * (end - begin));
    if (!ports.has(port) && (await isFree(port, host))) ports.add(port);
  }
  return [...ports];
}

function firstOfTheKernels() {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/);
    return Number(first) > LEAST + 1_000 ? Number(first) : 65_536;
  } catch {
    return 32_768;
  }
}

function isFree(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
