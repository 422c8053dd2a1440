import { describe, expect, it } from 'vitest';
import { ConfigError } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';

describe('settings of the web server', () => {
  it('listen on loopback and ask an API beside it, when nothing is said', () => {
    expect(readConfig([], {})).toMatchObject({
      web: { host: '127.0.0.1', port: 4080 },
      apiUrl: new URL('http://127.0.0.1:4000/graphql'),
      allowedHosts: [],
    });
  });

  it('come from the environment and the command line, which wins', () => {
    const env = { TIDEMARK_WEB_PORT: '4081', TIDEMARK_WEB_API_URL: 'https://api.example/graphql' };
    const read = readConfig(['--set', 'web.port=4082', '--set', 'web.allowedHosts=a.example, B.example'], env);
    expect(read).toMatchObject({
      web: { port: 4082 },
      apiUrl: new URL('https://api.example/graphql'),
      allowedHosts: ['a.example', 'b.example'],
    });
  });

  it.each(['ftp://api/graphql', 'api:4000', '', 'http://user:secret@api/graphql'])('refuse %s as an API', (url) => {
    expect(() => readConfig(['--set', `web.apiUrl=${url}`], {})).toThrow(ConfigError);
  });

  it('are all named in the help', () => {
    expect(USAGE).toContain('TIDEMARK_WEB_API_URL');
    expect(readConfig(['--help'], {})).toBe('help');
  });
});
