import {
  encodeFindingRecord,
  checkFindingRecord,
  type Finding,
  type NodeId,
  type NodeRecord,
  type SampleChunk,
} from '@tidemark/contracts';
import { findingBlocks, nodeBlocks, sampleBlocks } from '@tidemark/history';
import { simulateNode, type TestHistory } from '@tidemark/history/testing';

export const NODE = 'node-a' as NodeId;
const MINUTES = 4;
const ROUND_MS = 1_000;

/** What a dashboard's page shows: data from `from` to `to`, epoch milliseconds. */
export interface Shown {
  from: number;
  to: number;
}

/** One node for four minutes until now, with every kind of figure, a finding and a traced process. */
export async function fillHistory({ history, connection }: TestHistory): Promise<Shown> {
  const to = Math.floor(Date.now() / ROUND_MS) * ROUND_MS;
  const rounds = MINUTES * 60;
  const from = to - rounds * ROUND_MS;
  const options = { node: NODE, from, rounds, roundMs: ROUND_MS, processes: 8, seed: 5, keyframeEvery: 60 };
  const chunks = simulateNode(options).chunks.map((chunk, round) => ({ ...chunk, system: systemOf(chunk, round) }));
  const heartbeats = chunks.filter((_, round) => round % 2 === 1).map((chunk, index) => heartbeatOf(chunk, index));
  const blocks = [
    ...sampleBlocks(chunks, () => 1),
    ...nodeBlocks(heartbeats, () => 1),
    ...findingBlocks([findingAt(to - 60_000)], () => 1),
  ];
  await history.write(blocks, { token: 'dashboards', again: false });
  await fillTraceAndChunk(connection.command.bind(connection), chunks[0]!, to);
  return { from, to: to + ROUND_MS };
}

function systemOf({ system }: SampleChunk, round: number): SampleChunk['system'] {
  const pressure = { avg10: 1 + (round % 5), avg60: 1, avg300: 1, total: 1_000 * round };
  const interfaceFigures = { rxErrors: 0, rxDropped: 0, rxFifo: 0, rxFrame: 0, rxCompressed: 0, rxMulticast: 0 };
  const sent = { txErrors: 0, txDropped: 0, txFifo: 0, txCollisions: 0, txCarrier: 0, txCompressed: 0 };
  const [rxBytes, txBytes] = [1_500 * round, 700 * round];
  return {
    ...system,
    pressure: { some: pressure, full: pressure },
    counters: { swappedIn: round, swappedOut: 2 * round, oomKills: 0, contextSwitches: round },
    interfaces: [{ name: 'eth0', rxBytes, rxPackets: round, txBytes, txPackets: round, ...interfaceFigures, ...sent }],
    disks: [
      { name: 'vda', reads: round, readSectors: 8 * round, writes: round, writtenSectors: 16 * round, ioTime: 1 },
    ],
    cgroups: [{ path: '/system.slice', usage: 1_000_000 + round }],
  };
}

function heartbeatOf({ boot, run, at }: SampleChunk, index: number): NodeRecord {
  return {
    ...{ v: 1, node: NODE, boot, run, at, state: 'UP', hostname: 'a.example', kernel: '6.1', architecture: 'x64' },
    ...{ cpus: 2, pageSize: 4096, bootedAt: at - 1e6, interval: ROUND_MS, processes: 8, limitations: ['none'] },
    collector: {
      ...{ version: '0.1.0', pid: 7, startedAt: at - 1e5, rounds: 2 * index, cpuMs: 10 * index, rss: 9e7 },
      ...{ reads: index, opens: index, bytesRead: index, bytesSent: 2_000 * index, spooledBytes: 0 },
      ...{ droppedBytes: 0, droppedChunks: 0, latenessMs: 1, skippedRounds: 0, clockJumps: 0 },
    },
  };
}

function findingAt(at: number): Finding {
  const finding = {
    ...{ v: 1, type: 'finding', id: 'leak-1', kind: 'PROCESS_LEAK', subject: `${NODE}:p`, node: NODE, process: null },
    ...{ service: 'shop', state: 'CONFIRMED', previous: 'SUSPECTED', imminent: false, confidence: 0.99, openedAt: at },
    ...{ at, bytes: 5e8, limit: null, growth: null, secondsToExhaustion: null, message: 'it leaks', evidence: {} },
  };
  encodeFindingRecord(finding as unknown as Finding);
  return checkFindingRecord(finding) as Finding;
}

/** By SQL, since no more than one row of each of these tables is asked for. */
async function fillTraceAndChunk(command: (sql: string) => Promise<unknown>, { procs, boot }: SampleChunk, to: number) {
  const key = `'${NODE}', '${boot}', ${procs.pid[0]}, ${procs.start[0]}, 'trace-1', 'run-1', 1`;
  const at = `toDateTime64(${to - 30_000} / 1000, 3, 'UTC')`;
  await command(
    'INSERT INTO allocation_sites (node, boot, pid, start, trace, run, site, time, at, live_bytes, allocated_bytes) ' +
      `SELECT ${key}, toDateTime(${at}, 'UTC'), ${at}, 4096, 8192`,
  );
  await command(
    'INSERT INTO allocation_site_names (node, boot, pid, start, trace, run, site, at, site_id) ' +
      `SELECT ${key}, ${at}, 'site-1'`,
  );
  await command(
    'INSERT INTO written_chunks (topic, partition, node, run, seq, batch, at) ' +
      `SELECT 'mem.samples.v1', 3, '${NODE}', 'run-1', 239, 1, ${at}`,
  );
  const frames = JSON.stringify([{ function: 'make_it', file: null, line: null }]);
  await command(
    `INSERT INTO allocation_stacks (site_id, at, truncated, frames) SELECT 'site-1', ${at}, false, '${frames}'`,
  );
}
