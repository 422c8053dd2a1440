import { configOrExit, runApp } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';
import { startWeb } from './start.js';

const NAME = 'tidemark web';
const config = configOrExit(NAME, USAGE, () => readConfig(process.argv.slice(2)));

runApp({
  name: NAME,
  log: config.log,
  async start({ logger, say, lifecycle }) {
    const server = await startWeb(config, logger);
    lifecycle.add({ name: 'web server', stop: (deadlineMs) => server.stop(deadlineMs) });
    say(`The page is at ${server.url}, and asks ${config.apiUrl.href}`);
  },
});
