// Loaded into a part with `node --import`: its connections leave from the loopback address in DRILL_ADDRESS, by which
// the proxies know whose they are.
import { Socket } from 'node:net';

const localAddress = process.env.DRILL_ADDRESS;
const connect = Socket.prototype.connect;

if (localAddress) {
  Socket.prototype.connect = function (...given) {
    // `net.connect` hands over an array that it made of its arguments.
    const options = Array.isArray(given[0]) ? given[0][0] : given[0];
    if (options && typeof options === 'object' && options.port !== undefined) options.localAddress ??= localAddress;
    return connect.apply(this, given);
  };
}
