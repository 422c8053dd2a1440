import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as forward } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createHistory, historyOptions, historySettings, type History, type HistoryError } from '@tidemark/history';
import { openTestHistory, type TestHistory } from '@tidemark/history/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../tools/kafka/certificates.mjs';

/** TLS ends before the engine, which has none, as it would at a server's own port or at a balancer. */
describe('history over TLS', () => {
  let directory: string;
  let test: TestHistory;
  const servers: Server[] = [];
  const histories: History[] = [];
  const file = (name: string): string => join(directory, name);

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-tls-'));
    makeCertificates(file('good'), '127.0.0.1');
    makeCertificates(file('elsewhere'), 'clickhouse.example');
    makeCertificates(file('stranger'), '127.0.0.1');
    const [csr, ca, key, names] = ['server.csr', 'ca.pem', 'ca.key', 'names'].map((name) => file(`good/${name}`));
    const signed = ['x509', '-req', '-in', csr!, '-CA', ca!, '-CAkey', key!, '-CAcreateserial', '-extfile', names!];
    execFileSync('openssl', [...signed, '-days', '-1', '-out', file('good/expired.pem')], { stdio: 'pipe' });
    test = await openTestHistory();
  });
  afterEach(async () => {
    await Promise.all(histories.splice(0).map((history) => history.close()));
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  afterAll(async () => {
    await test.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A port with TLS by a certificate of this directory; what comes goes to the engine. */
  async function serve(certificate: string, key = certificate): Promise<{ url: string; handshakes: () => number }> {
    let handshakes = 0;
    const server = createServer(
      { cert: readFileSync(file(`${certificate}.pem`)), key: readFileSync(file(`${key}.key`)) },
      (request, response) => {
        const onward = forward(
          test.options.url + request.url!,
          { method: request.method!, headers: request.headers },
          (answer) => {
            response.writeHead(answer.statusCode!, answer.headers);
            answer.pipe(response);
          },
        );
        request.pipe(onward);
        onward.on('error', () => response.destroy());
      },
    );
    server.on('connection', () => (handshakes += 1));
    server.on('tlsClientError', () => undefined);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, handshakes: () => handshakes };
  }

  function historyAt(url: string, caFile = file('good/ca.pem'), password = test.options.password): History {
    const { username, database } = test.options;
    const given = { url, username, password, database, ...(caFile !== '' && { caFile }) };
    const history = createHistory(historyOptions(historySettings.parse(given)));
    histories.push(history);
    return history;
  }

  const failure = (history: History): Promise<HistoryError> =>
    history.lastNodes().then(
      () => expect.unreachable(),
      (error: unknown) => error as HistoryError,
    );

  it('reads and writes with an authority that is trusted', async () => {
    const { url } = await serve('good/server');
    const history = historyAt(url);
    await history.ping();
    await expect(history.migrate()).resolves.toMatchObject({ applied: [] });
    await history.preflight('writer');
    const row = {
      node: 'node-tls' as never,
      boot: 'b',
      pid: 1,
      start: 2,
      at: Date.now(),
      snapshot: 'x'.repeat(100_000),
    };
    await history.saveSeries([row]);
    await expect(history.loadSeries(row.node, 'b')).resolves.toEqual([row]);
  });

  it.each([
    ['of an authority that nobody named', 'good/server', 'good/server', '', 'see to history.caFile'],
    ['of another authority', 'stranger/server', 'stranger/server', 'good/ca.pem', 'see to history.caFile'],
    ['that has expired', 'good/expired', 'good/server', 'good/ca.pem', 'its certificate has expired'],
    [
      'for another host',
      'elsewhere/server',
      'elsewhere/server',
      'elsewhere/ca.pem',
      'its certificate is for another host',
    ],
  ])('refuses a certificate %s in one line, at one attempt', async (_, certificate, key, ca, reason) => {
    const { url, handshakes } = await serve(certificate, key);
    const error = await failure(historyAt(url, ca === '' ? '' : file(ca)));
    expect(error).toMatchObject({ code: 'HISTORY_ACCESS', retriable: false });
    expect(error.message).toContain(`history is not trusted while reading: `);
    expect(error.message).toContain(reason);
    expect(error.message).not.toContain('\n');
    expect(handshakes()).toBe(1);
    await expect(historyAt(url, ca === '' ? '' : file(ca)).ping()).rejects.toMatchObject({ code: 'HISTORY_ACCESS' });
  });

  it('says so when the port speaks no TLS, and when only TLS is spoken there', async () => {
    const plain = await failure(historyAt(test.options.url.replace('http:', 'https:')));
    expect(plain).toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
    expect(plain.message).toContain('it speaks no TLS there, see to history.url');
    const { url } = await serve('good/server');
    const encrypted = await failure(historyAt(url.replace('https:', 'http:'), ''));
    expect(encrypted).toMatchObject({ code: 'HISTORY_UNAVAILABLE', retriable: true });
  });

  it('tells passwords to nobody but the server, whatever goes wrong', async () => {
    const secret = 'correct horse battery';
    const { url } = await serve('good/server');
    const { url: untrusted } = await serve('stranger/server');
    const seen: string[] = [];
    for (const [at, ca] of [
      [url, file('good/ca.pem')],
      [untrusted, file('good/ca.pem')],
      ['https://127.0.0.1:1', file('good/ca.pem')],
      [test.options.url, ''],
    ] as const) {
      const history = historyAt(at, ca, secret);
      for (const call of [history.lastNodes(), history.migrate(), history.preflight('writer'), history.ping()]) {
        await call.catch((error: unknown) => seen.push(inspect(error, { depth: 20, showHidden: true })));
      }
    }
    expect(seen.length).toBeGreaterThan(10);
    const encoded = Buffer.from(`${test.options.username}:${secret}`).toString('base64');
    for (const text of seen) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(encoded);
      expect(text).not.toContain(encodeURIComponent(secret));
    }
  });
});
