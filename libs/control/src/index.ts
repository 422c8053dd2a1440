export { createControlChannel, type ControlChannelOptions } from './control-channel.js';
export { createControlSender } from './control-sender.js';
