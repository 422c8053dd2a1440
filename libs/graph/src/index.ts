export * from './history-port.js';
