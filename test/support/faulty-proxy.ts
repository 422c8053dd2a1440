import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a proxy before a ClickHouse server does with a request. */
export type Fault =
  /** Closes the connection without an answer. */
  | { kind: 'refuse' }
  /** Takes the request and never answers; the server does not see it. */
  | { kind: 'swallow' }
  /** The server does what it is asked, and nobody is told. */
  | { kind: 'swallow-answer' }
  /** The server does what it is asked, and the connection is closed then. */
  | { kind: 'cut' }
  /** Answers itself. */
  | { kind: 'answer'; status: number; body: string; code?: number }
  /** Passes the request on with another password. */
  | { kind: 'password'; password: string };

export interface FaultyProxy {
  url: string;
  /** Undefined: everything is passed on. */
  fault: Fault | undefined;
  /** Requests that are passed on before the fault begins. */
  passed: number;
  /** Requests since the fault was last set. */
  requests(): number;
  close(): Promise<void>;
}

/** A proxy on the loopback before a server that speaks HTTP. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  let fault: Fault | undefined;
  let requests = 0;
  let passed = 0;
  const server = createServer((request, response) => {
    requests++;
    request.on('error', () => undefined);
    handle(target, requests > passed ? fault : undefined, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
      requests = 0;
    },
    get passed() {
      return passed;
    },
    set passed(next) {
      passed = next;
    },
    requests: () => requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function handle(target: string, fault: Fault | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (fault?.kind === 'refuse') return void request.socket.destroy();
  if (fault?.kind === 'swallow') return void request.resume();
  if (fault?.kind === 'answer') {
    request.resume().on('end', () => {
      const code = fault.code === undefined ? {} : { 'X-ClickHouse-Exception-Code': String(fault.code) };
      response.writeHead(fault.status, { 'Content-Type': 'text/plain', ...code }).end(fault.body);
    });
    return;
  }
  const headers = { ...request.headers };
  if (fault?.kind === 'password') {
    headers.authorization = `Basic ${Buffer.from(`default:${fault.password}`).toString('base64')}`;
  }
  const onward = forward(target + request.url!, { method: request.method!, headers }, (answer) => {
    if (fault?.kind === 'swallow-answer') return void answer.resume();
    if (fault?.kind === 'cut') return void answer.resume().on('end', () => request.socket.destroy());
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
