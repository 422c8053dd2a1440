import { Counter, type Registry } from '@tidemark/service';

export function createControlMetrics(registry: Registry) {
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers: [registry] });
  return {
    heard: counter('tidemark_control_records_total', 'Records of the control topic about this node.'),
    rejected: counter('tidemark_control_rejected_total', 'Damaged control records passed over.'),
    retries: counter('tidemark_control_retries_total', 'Failed tries to handle a control record.'),
    failed: counter('tidemark_control_failed_total', 'Control records given up after every try.'),
  };
}

export type ControlMetrics = ReturnType<typeof createControlMetrics>;
