import { createHash } from 'node:crypto';
import {
  decodeAllocationChunk,
  decodeFindingRecord,
  decodeNodeRecord,
  decodeSampleChunk,
  Topic,
  type SampleChunk,
} from '@tidemark/contracts';
import type { OutgoingRecord } from '@tidemark/event-log';
import { describe, expect, it } from 'vitest';
import { playLoad, type LoadEntry, type LoadOptions } from '../tools/load/play.mjs';

const AT = Date.UTC(2026, 3, 1);
const DECODERS = {
  [Topic.Samples]: decodeSampleChunk,
  [Topic.Nodes]: decodeNodeRecord,
  [Topic.Findings]: decodeFindingRecord,
  [Topic.Allocations]: decodeAllocationChunk,
} as Record<string, (value: Uint8Array, headers: Record<string, string>) => unknown>;

/** Plays into a list; every `refuse`th append is refused once. */
async function play(options: Partial<LoadOptions>, refuse = Infinity) {
  const records: OutgoingRecord[] = [];
  const requests: (readonly OutgoingRecord[])[] = [];
  const made: LoadEntry[] = [];
  const taken: LoadEntry[] = [];
  let calls = 0;
  const log = {
    append(batch: readonly OutgoingRecord[]) {
      if (++calls % refuse === 0) return Promise.reject(new Error('away'));
      records.push(...batch);
      requests.push(batch);
      return Promise.resolve();
    },
  };
  const result = await playLoad({
    ...{ log, nodes: 3, processes: 200, seconds: 90, paced: false, at: AT, traces: 3, findingsPerMinute: 6 },
    ...{ figures: true, onMade: (entry) => made.push(entry), onAcknowledged: (entry) => taken.push(entry) },
    ...options,
  });
  return { records, requests, made, taken, result };
}

function chunksOf(records: readonly OutgoingRecord[]): SampleChunk[] {
  return records
    .filter(({ topic }) => topic === Topic.Samples)
    .map(({ value, headers }) => decodeSampleChunk(value!, headers as Record<string, string>));
}

function digest(records: readonly OutgoingRecord[]): string {
  const sum = createHash('sha256');
  const lines = records.map(({ topic, key, value }) => `${topic} ${key} ${Buffer.from(value!).toString('base64')}\n`);
  for (const line of lines.toSorted()) sum.update(line);
  return sum.digest('hex');
}

describe('the load generator', () => {
  it('makes only records that every reader takes', async () => {
    const { records, result } = await play({});
    for (const { topic, value, headers } of records) DECODERS[topic]!(value!, headers as Record<string, string>);
    expect(new Set(records.map(({ topic }) => topic)).size).toBe(4);
    expect(result.acknowledged).toEqual(result.made);
    expect(result.drained).toBe(true);
  });

  it('makes the same of the same seed, and something else of another', async () => {
    const [one, same, other] = await Promise.all([play({ seed: 7 }), play({ seed: 7 }), play({ seed: 8 })]);
    expect(digest(one.records)).toBe(digest(same.records));
    expect(digest(one.records)).not.toBe(digest(other.records));
  });

  it('makes the same when it makes all of it before the first is due, and says when the time was too short', async () => {
    const at = Date.now() + 5_000;
    const when = { at, seconds: 20, processes: 50 };
    const [before, meanwhile] = await Promise.all([play({ ...when, prepareMs: 5_000 }), play(when)]);
    expect(before.records.length).toBe(meanwhile.records.length);
    expect(digest(before.records)).toBe(digest(meanwhile.records));
    expect(before.result.acknowledged).toEqual(meanwhile.result.acknowledged);
    await expect(play({ ...when, at: Date.now(), prepareMs: 1 })).rejects.toThrow(/prepareMs 1: .* give more/);
  });

  it('sends the small rounds of a host by twos when they may wait, half of the hosts in each round, and the same records', async () => {
    const small = { nodes: 4, processes: 50, seconds: 1.2, interval: 100, lanes: 1, traces: 0, findingsPerMinute: 0 };
    const [together, alone] = await Promise.all([play({ ...small, paced: true, lingerMs: 100 }), play(small)]);
    expect(digest(together.records)).toBe(digest(alone.records));
    expect(together.result.acknowledged).toEqual(together.result.made);
    const counts = together.requests.map((records) => {
      const keys = chunksOf(records).map(({ node }) => node);
      return [...new Set(keys)].map((node) => ({ node, chunks: keys.filter((key) => key === node).length }));
    });
    for (const [index, node] of ['load-0000', 'load-0001', 'load-0002', 'load-0003'].entries()) {
      const own = counts.flat().filter((one) => one.node === node);
      // A machine that stands still for all of it sends everything at once.
      if (own.length < 2) continue;
      const [first, last] = [own.shift()!, own.pop()!];
      for (const { chunks } of own) expect(chunks % 2).toBe(0);
      expect(first.chunks % 2).toBe(index % 2 === 0 ? 1 : 0);
      expect(last.chunks).toBeGreaterThan(0);
    }
  });

  it('numbers the chunks of each host without gaps, in order, with a keyframe at the start and each minute', async () => {
    const { records } = await play({});
    const byNode = new Map<string, SampleChunk[]>();
    for (const chunk of chunksOf(records)) byNode.set(chunk.node, [...(byNode.get(chunk.node) ?? []), chunk]);
    expect(byNode.size).toBe(3);
    for (const chunks of byNode.values()) {
      expect(chunks.map(({ seq }) => seq)).toEqual(Array.from({ length: 90 }, (_, seq) => seq));
      expect(chunks[0]!.keyframe).toBe(true);
      const keyframes = chunks.filter(({ keyframe }) => keyframe);
      for (const keyframe of keyframes) expect(keyframe.procs.pid).toHaveLength(200);
      expect(keyframes.length).toBeGreaterThanOrEqual(2);
    }
  });

  it('sends again what was refused: nothing is lost, and order stays', async () => {
    const { records, result, taken, made } = await play({ seconds: 30 }, 3);
    expect(result.refusals).toBeGreaterThan(0);
    expect(taken).toHaveLength(made.length);
    for (const node of ['load-0000', 'load-0001', 'load-0002']) {
      const seqs = chunksOf(records.filter(({ key }) => key === node)).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
      expect(new Set(seqs).size).toBe(30);
    }
  });

  it('says exactly what it sent', async () => {
    const { records, made } = await play({});
    const chunks = new Map(chunksOf(records).map((chunk) => [`${chunk.node} ${chunk.seq}`, chunk]));
    const entries = made.filter(({ kind }) => kind === 'samples');
    expect(entries).toHaveLength(chunks.size);
    for (const { node, seq, rows, figures } of entries) {
      const { procs, facts, exits } = chunks.get(`${node} ${seq}`)!;
      const sum = (cells: readonly (number | null)[] = []) =>
        cells.reduce<number>((total, cell) => total + (cell ?? 0), 0);
      expect(rows).toBe(procs.pid.length);
      expect(figures).toMatchObject({
        ...{ rows, pids: sum(procs.pid), rss: sum(procs.rss), utime: sum(procs.utime) },
        ...{ facts: facts.pid.length, exits: exits.pid.length },
      });
    }
  });

  it('has most processes idle, the share that is asked for changing, and leaks that only grow', async () => {
    const { records } = await play({ nodes: 1, processes: 1_000, seconds: 120, changing: 0.2, leaks: 1 });
    const chunks = chunksOf(records);
    const rows = chunks.filter(({ keyframe }) => !keyframe).map(({ procs }) => procs.pid.length);
    const mean = rows.reduce((sum, count) => sum + count, 0) / rows.length / 1_000;
    expect(mean).toBeGreaterThan(0.17);
    expect(mean).toBeLessThan(0.23);
    const leak = chunks[0]!.procs.pid[0]!;
    const sizes = chunks.flatMap(({ procs }) => {
      const row = procs.pid.indexOf(leak);
      return row >= 0 ? [procs.rssAnon?.[row] ?? []].flat() : [];
    });
    expect(sizes.length).toBeGreaterThan(100);
    for (let index = 1; index < sizes.length; index++) expect(sizes[index]!).toBeGreaterThanOrEqual(sizes[index - 1]!);
    expect(sizes.at(-1)! - sizes[0]!).toBeGreaterThan(100 * 20 * 4096);
  });

  it('refuses what it cannot play, naming the option', async () => {
    const log = { append: () => Promise.resolve() };
    await expect(playLoad({ log, nodes: 0, processes: 1, seconds: 1 })).rejects.toThrow('nodes 0');
    await expect(playLoad({ log, nodes: 1, processes: 20_001, seconds: 1 })).rejects.toThrow('processes 20001');
    await expect(playLoad({ log, nodes: 1, processes: 1, seconds: 0 })).rejects.toThrow('seconds 0');
  });
});
