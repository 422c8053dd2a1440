// Proxies between the parts: every connection can be cut off by who made it and where it goes.
import { createConnection, createServer } from 'node:net';

/**
 * How a link is cut. `stall`: nothing passes, and all of it arrives when the link is back. `drop`: nothing passes, and
 * connections are dead when the link is back. `reset`: connections are torn down, new ones too.
 */
export const CUTS = ['stall', 'drop', 'reset'];

/** @param {{ names: Record<string, string> }} options names of the parts by source address */
export function createLinks({ names }) {
  const servers = [];
  const pairs = new Set();
  const sockets = new Set();
  const cuts = new Set();
  const cutOf = (pair) => [...cuts].find(({ match }) => match(pair.from, pair.to))?.how;

  /** Brings a connection into the state that the cuts ask for. */
  function apply(pair) {
    const how = cutOf(pair);
    if (how === 'reset' || (pair.how === 'drop' && how !== 'drop')) return end(pair);
    pair.how = how;
    for (const socket of [pair.near, pair.far]) {
      if (how) socket.pause();
      else socket.resume();
    }
    // A side that closed while the link was cut is learnt of now.
    if (!how && (pair.near.destroyed || pair.far.destroyed)) leave(pair);
  }

  function end(pair) {
    pairs.delete(pair);
    pair.near.resetAndDestroy();
    pair.far.resetAndDestroy();
  }

  /** One side has closed: what it said goes out still, then the other side closes too. */
  function leave(pair) {
    pairs.delete(pair);
    for (const socket of [pair.near, pair.far]) socket.destroySoon();
  }

  function accept(near, to, target) {
    const from = names[near.remoteAddress] ?? 'others';
    const far = createConnection(target());
    const pair = { from, to, near, far, how: undefined };
    pairs.add(pair);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => end(pair));
      socket.on('close', () => {
        sockets.delete(socket);
        if (!pair.how) leave(pair);
      });
    }
    forward(near, far);
    forward(far, near);
    apply(pair);

    function forward(source, sink) {
      source.on('data', (bytes) => {
        if (!sink.write(bytes)) source.pause();
      });
      sink.on('drain', () => {
        if (!pair.how) source.resume();
      });
      source.on('end', () => sink.end());
    }
  }

  return {
    /** Listens for connections to `to`; `target` says where they go. Resolves with `host:port`. */
    async open(to, target) {
      const server = createServer({ pauseOnConnect: false }, (near) => accept(near, to, target));
      await new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      servers.push(server);
      return `127.0.0.1:${server.address().port}`;
    },
    /** Cuts every link that matches; gives what heals it. */
    cut(match, how) {
      const cut = { match, how };
      cuts.add(cut);
      for (const pair of [...pairs]) apply(pair);
      return () => {
        cuts.delete(cut);
        for (const pair of [...pairs]) apply(pair);
      };
    },
    async close() {
      for (const socket of [...sockets]) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
