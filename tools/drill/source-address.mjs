// Loaded into a part with `node --import`: its connections leave from the loopback address in DRILL_ADDRESS, by which
// the proxies know whose they are.
import { Socket } from 'node:net';

const localAddress = process.env.DRILL_ADDRESS;
const connect = Socket.prototype.connect;

if (localAddress) {
  Socket.prototype.connect = function (...given) {
    // `net.connect` hands over an array that it made of its arguments. Options are copied: agents tell by them whose a
    // connection is, and must find them as they were.
    const place = Array.isArray(given[0]) ? given[0] : given;
    const options = place[0];
    if (options && typeof options === 'object' && options.port !== undefined) {
      place[0] = { ...options, localAddress: options.localAddress ?? localAddress };
    }
    return connect.apply(this, given);
  };
}
