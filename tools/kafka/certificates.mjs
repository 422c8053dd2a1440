// An authority of its own for a cluster, and a certificate for its brokers, made with openssl.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

const PASSWORD = 'changeit';

/**
 * Files for TLS in `directory`, made when they are not there: `ca.pem`, `server.pem`, `server.key` and `server.p12`.
 *
 * @param {string} host name or address that clients connect to
 * @returns {{ ca: string, keystore: string, password: string }} `ca` is PEM text
 */
export function makeCertificates(directory, host) {
  const file = (name) => join(directory, name);
  if (!existsSync(file('server.p12'))) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...key,
      '-days',
      '30',
      '-subj',
      '/CN=Tidemark test authority',
      '-keyout',
      file('ca.key'),
      '-out',
      file('ca.pem'),
    );
    openssl('req', ...key, '-subj', `/CN=${host}`, '-keyout', file('server.key'), '-out', file('server.csr'));
    writeFileSync(file('names'), `subjectAltName=${isIP(host) ? 'IP' : 'DNS'}:${host}\n`);
    openssl(
      'x509',
      '-req',
      '-in',
      file('server.csr'),
      '-CA',
      file('ca.pem'),
      '-CAkey',
      file('ca.key'),
      '-CAcreateserial',
      '-days',
      '30',
      '-extfile',
      file('names'),
      '-out',
      file('server.pem'),
    );
    openssl(
      'pkcs12',
      '-export',
      '-inkey',
      file('server.key'),
      '-in',
      file('server.pem'),
      '-certfile',
      file('ca.pem'),
      '-passout',
      `pass:${PASSWORD}`,
      '-out',
      file('server.p12'),
    );
  }
  return { ca: readFileSync(file('ca.pem'), 'utf8'), keystore: file('server.p12'), password: PASSWORD };
}
