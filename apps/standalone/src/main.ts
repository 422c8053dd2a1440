import { configOrExit, runApp } from '@tidemark/service';
import { describeRun } from './banner.js';
import { readConfig, USAGE } from './config.js';
import { startStandalone } from './start.js';

const config = configOrExit('tidemark', USAGE, () => readConfig(process.argv.slice(2)));

runApp({
  name: 'tidemark',
  log: config.log,
  async start(app) {
    const run = await startStandalone(config, app);
    for (const line of describeRun(config, run)) app.say(line);
    return run;
  },
});
