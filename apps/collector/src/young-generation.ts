import { setFlagsFromString } from 'node:v8';

/**
 * What lives shortly stays small: the engine would grow the space for it to 16 MiB twice over while modules are loaded, and
 * never give it back. Imported first. Costs no time that could be measured: rounds leave little garbage.
 */
setFlagsFromString('--semi-space-growth-factor=1');
