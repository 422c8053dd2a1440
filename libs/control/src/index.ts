export { createControlChannel, type ControlChannelOptions } from './control-channel.js';
export { createControlSender } from './control-sender.js';
export { EventLogClient, type EventLogClientOptions } from './event-log-client.js';
export { EventLogContext } from './event-log-context.js';
export { EventLogServer, type EventLogServerOptions } from './event-log-server.js';
