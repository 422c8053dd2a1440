import { configOrExit, runApp } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';
import { startWriter } from './start.js';

const NAME = 'tidemark writer';
const config = configOrExit(NAME, USAGE, () => readConfig(process.argv.slice(2)));

runApp({ name: NAME, log: config.log, start: (app) => startWriter(config, app) });
