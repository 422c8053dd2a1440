export * from './errors.js';
export * from './trace-source.js';
