export { openTestHistory, type TestHistory } from './open-history.js';
export {
  randomSource,
  simulateNode,
  type SimulatedProcess,
  type Simulation,
  type SimulationOptions,
} from './simulated-node.js';
