import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CollectError } from './errors.js';
import { createRedactor, REDACTED } from './redact.js';

const { redact } = createRedactor([]);

describe('a command line', () => {
  it.each([
    ['mysqld --datadir=/var/lib/mysql --port=3306'],
    ['java -Xmx4g -Djava.io.tmpdir=/tmp org.example.Main'],
    ['postgres: writer process'],
    ['ssh -i /home/me/.ssh/id_ed25519 host.example'],
    ['python3 -m http.server 8000'],
    ['curl https://example.org/a/b?page=2'],
    ['git clone git@github.com:owner/name.git'],
    ['/usr/bin/passwd'],
  ])('stays as it is without secrets: %s', (line) => {
    expect(redact(line.split(' '))).toBe(line);
  });

  it.each([
    [['app', '--password=s3cr3t', '--port=1'], 'app --password=*** --port=1'],
    [['app', '--password', 's3cr3t', '--port', '1'], 'app --password *** --port 1'],
    [['app', '--db-password', 'two words'], 'app --db-password ***'],
    [['app', '-token', 'abc'], 'app -token ***'],
    [['app', '--api-key=abc', '--api_key', 'def'], 'app --api-key=*** --api_key ***'],
    [['env', 'AWS_SECRET_ACCESS_KEY=abc/def', 'PATH=/bin', 'app'], 'env AWS_SECRET_ACCESS_KEY=*** PATH=/bin app'],
    [['java', '-Dspring.datasource.password=hunter2', 'Main'], 'java -Dspring.datasource.password=*** Main'],
    [['sh', '-c', 'PGPASSWORD=abc psql -h db'], 'sh -c PGPASSWORD=*** psql -h db'],
    [['sh', '-c', 'app --token "a b c" --x'], 'sh -c app --token *** --x'],
    [['app', '{"user":"me","password":"p w","port":1}'], 'app {"user":"me","password":***,"port":1}'],
    [['app', 'postgres://me:s3cr3t@db:5432/x'], 'app postgres://me:***@db:5432/x'],
    [['app', 'https://ghp_abc@github.com/x'], 'app https://***@github.com/x'],
    [['curl', '-H', 'Authorization: Bearer abc.def', 'x'], 'curl -H Authorization: Bearer *** x'],
    [['curl', '-H', 'X-Api-Key: abc'], 'curl -H X-Api-Key: ***'],
    [['curl', '-u', 'me:pw', 'x'], 'curl -u *** x'],
    [['/usr/bin/mysql', '-uroot', '-phunter2', 'db'], '/usr/bin/mysql -uroot -p*** db'],
    [['sshpass', '-p', 'pw', 'ssh', 'host'], 'sshpass -p *** ssh host'],
    [['redis-cli', '-a', 'pw', 'ping'], 'redis-cli -a *** ping'],
    [['app', 'AKIAABCDEFGHIJKLMNOP'], 'app ***'],
    [['app', 'ghp_0123456789abcdefghijABCDEFGHIJ012345'], 'app ***'],
    [['app', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl'], 'app ***'],
  ])('%j loses its secrets', (args, line) => {
    expect(redact(args)).toBe(line);
  });

  it('takes the option after a lone secret option for an option', () => {
    expect(redact(['app', '--use-token', '--verbose'])).toBe('app --use-token --verbose');
  });

  it('never shows a value of a secret option, whatever the value and the arguments around it', () => {
    const word = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'));
    const option = fc.constantFrom('--password', '--db.secret', '-token', '--api-key');
    fc.assert(
      fc.property(
        fc.array(word),
        option,
        fc.stringMatching(/^[A-Za-z0-9/+]{12,40}$/),
        fc.array(word),
        (a, o, secret, b) => {
          expect(redact(['app', ...a, o, secret, ...b])).not.toContain(secret);
          expect(redact(['app', ...a, `${o}=${secret}`, ...b])).not.toContain(secret);
        },
      ),
    );
  });

  it('of hostile arguments is done with', () => {
    for (const piece of ['a', '-', 'password', 'token=', '://', ':@', '"', 'bearer ', 'eyJ', ' ', 'authorization:']) {
      const arg = piece.repeat(Math.ceil(8192 / piece.length));
      expect(redact([arg, arg, `${arg}=x`]).length).toBeGreaterThan(0);
    }
  });
});

describe('the expressions of the operator', () => {
  it('blank what they match, beside what is known', () => {
    const redactor = createRedactor(['customer-\\d+', '(?<=--pin )\\d{4}']);
    expect(redactor.redact(['app', 'customer-77', '--pin', '1234', '--password=x'])).toBe(
      'app *** --pin *** --password=***',
    );
    expect(redactor.timeouts).toBe(0);
  });

  it('blank the whole line when they take too long', () => {
    const redactor = createRedactor(['(a+)+$']);
    expect(redactor.redact([`${'a'.repeat(200)}!`])).toBe(REDACTED);
    expect(redactor.timeouts).toBe(1);
    expect(redactor.redact(['short'])).toBe('short');
  });

  it('are refused in one line that names them when they are none', () => {
    expect(() => createRedactor(['fine', '(open'])).toThrow(CollectError);
    expect(() => createRedactor(['(open'])).toThrow(/^collect\.redact: "\(open" is not a regular expression: [^\n]+$/);
  });

  it('cannot reach beyond the line', () => {
    const redactor = createRedactor(['zz']);
    expect(redactor.redact(['${process.exit(1)}', 'zz'])).toBe('${process.exit(1)} ***');
  });
});
