import './young-generation.js';
import { configOrExit, runApp } from '@tidemark/service';
import { readConfig, USAGE } from './config.js';
import { startCollector } from './start.js';

const NAME = 'tidemark collector';
const config = configOrExit(NAME, USAGE, () => readConfig(process.argv.slice(2)));

runApp({ name: NAME, log: config.log, start: (app) => startCollector(config, app) });
