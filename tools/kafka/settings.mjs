// The files that a broker is started with: server.properties and the set-up of its logging.
import { join } from 'node:path';

/** Users of a cluster that asks for a password, for PLAIN and SCRAM alike. */
export const USERS = { admin: 'admin-secret', tidemark: 'tidemark-secret' };

/**
 * @param {{ id: number, port: number, controllerPort: number, voters: string, brokers: number, directory: string,
 *   host: string, secure: { port: number, keystore: string, password: string } | undefined,
 *   properties: Record<string, string> }} broker
 */
export function serverProperties(broker) {
  const { id, port, controllerPort, voters, brokers, directory, host, secure } = broker;
  const copies = Math.min(3, brokers);
  const listeners = [`PLAINTEXT://${host}:${port}`, `CONTROLLER://${host}:${controllerPort}`];
  const advertised = [`PLAINTEXT://${host}:${port}`];
  if (secure) {
    listeners.push(`SECURE://${host}:${secure.port}`);
    advertised.push(`SECURE://${host}:${secure.port}`);
  }
  return lines({
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': voters,
    'controller.listener.names': 'CONTROLLER',
    listeners: listeners.join(','),
    'advertised.listeners': advertised.join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
    'log.dirs': join(directory, 'data'),
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': Math.min(2, copies),
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': Math.min(2, copies),
    'default.replication.factor': copies,
    'min.insync.replicas': Math.min(2, copies),
    // With these two a test of three members waits for nothing but the members.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'auto.create.topics.enable': false,
    // On a busy machine a broker may wait long for its turn: that is not to look like its death.
    'controller.quorum.election.timeout.ms': 3000,
    'controller.quorum.fetch.timeout.ms': 6000,
    'controller.quorum.request.timeout.ms': 6000,
    'initial.broker.registration.timeout.ms': 180_000,
    ...(secure && security(secure)),
    ...broker.properties,
  });
}

function security({ keystore, password }) {
  const users = Object.entries(USERS).map(([user, secret]) => `user_${user}="${secret}"`);
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule';
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  return {
    'ssl.keystore.location': keystore,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': password,
    'ssl.key.password': password,
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.secure.plain.sasl.jaas.config': `${plain} required ${users.join(' ')};`,
    'listener.name.secure.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.secure.scram-sha-512.sasl.jaas.config': scram,
  };
}

/** Warnings and worse, in a file that does not grow for ever. */
export function loggingSettings(directory) {
  return lines({
    'appender.file.type': 'RollingFile',
    'appender.file.name': 'file',
    'appender.file.fileName': join(directory, 'broker.log'),
    'appender.file.filePattern': join(directory, 'broker.log.%i'),
    'appender.file.layout.type': 'PatternLayout',
    'appender.file.layout.pattern': '%d %p %c{1}: %m%n',
    'appender.file.policies.type': 'Policies',
    'appender.file.policies.size.type': 'SizeBasedTriggeringPolicy',
    'appender.file.policies.size.size': '20MB',
    'appender.file.strategy.type': 'DefaultRolloverStrategy',
    'appender.file.strategy.max': 2,
    'rootLogger.level': 'WARN',
    'rootLogger.appenderRef.file.ref': 'file',
  });
}

function lines(settings) {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}
