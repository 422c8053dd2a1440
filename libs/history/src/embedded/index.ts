export * from './supervise.js';
export * from './options.js';
