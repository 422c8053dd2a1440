export * from './errors.js';
export * from './library/traced-program.js';
export * from './trace-source.js';
export * from './symbols/index.js';
