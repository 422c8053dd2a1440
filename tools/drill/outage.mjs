/** All brokers are killed at once and started again together. */
export function outagePlan(brokers, seconds) {
  return Array.from({ length: brokers }, (_, index) => ({
    ...{ at: 10, seconds, target: 'broker', part: `broker-${index + 1}`, kind: 'kill', how: undefined },
  }));
}
