export * from './detect/index.js';
export * from './collect/index.js';
export * from './match/index.js';
export * from './record/index.js';
export * from './stage.js';
export * from './trace/index.js';
