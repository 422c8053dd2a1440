import type { TraceRequestRecord, TraceStatusRecord } from '@tidemark/contracts';
import type { EventLog } from '@tidemark/event-log';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PID, startControlSystem, type ControlSystem, type TestApi, type TestNode } from './control-system.js';
import { until } from './until.js';

interface Trace {
  state: string;
  mode: string;
  reason: string | null;
  reasonCode: string | null;
}
const FIELDS = 'state mode reason reasonCode';

/** What the control path promises, over whatever log `open` gives clients of; that one may have been used before. */
export function controlScenarios(open: () => Promise<EventLog>): void {
  let system: ControlSystem;
  let apis: [TestApi, TestApi];
  let serial = 0;
  const name = (letter: string): string => `${letter}-${process.pid}-${serial}`;

  beforeEach(async () => {
    serial++;
    system = await startControlSystem(open);
    apis = [await system.api(), await system.api()];
  }, 60_000);
  afterEach(() => system?.close(), 30_000);

  const start = async (api: TestApi, node: string, more = ''): Promise<Trace> => {
    const mutation = `mutation { startAllocationTrace(node: "${node}", pid: ${PID}${more}) { ${FIELDS} } }`;
    return (await api.query<{ startAllocationTrace: Trace }>(mutation)).startAllocationTrace;
  };
  const stop = async (api: TestApi, node: string): Promise<Trace> => {
    const mutation = `mutation { stopAllocationTrace(node: "${node}", pid: ${PID}) { ${FIELDS} } }`;
    return (await api.query<{ stopAllocationTrace: Trace }>(mutation)).stopAllocationTrace;
  };
  const trace = async (api: TestApi, node: string): Promise<Trace | null> => {
    const query = `{ process(node: "${node}", pid: ${PID}) { trace { ${FIELDS} } } }`;
    return (await api.query<{ process: { trace: Trace | null } | null }>(query)).process?.trace ?? null;
  };
  const seen = (node: string, state: string): Promise<unknown> =>
    until(`both APIs to see ${node} ${state}`, async () => {
      const query = `{ node(id: "${node}") { state } process(node: "${node}", pid: ${PID}) { pid } }`;
      const answers = await Promise.all(
        apis.map((api) => api.query<{ node: { state: string } | null; process: object | null }>(query)),
      );
      return answers.every((one) => one.node?.state === state && one.process);
    });
  const told = (node: string, state: string): Promise<unknown> =>
    until(`both APIs to tell ${state} of ${node}`, async () => {
      const traces = await Promise.all(apis.map((api) => trace(api, node)));
      return traces.every((one) => one?.state === state);
    });
  const of = (node: string) => system.records.filter((record) => record.node === node);
  const answers = (node: string): TraceStatusRecord[] => of(node).filter((one) => one.type === 'trace-status');
  const requests = (node: string): TraceRequestRecord[] => of(node).filter((one) => one.type === 'trace-request');

  it('a request reaches the right node of three, and every API tells the answer', async () => {
    const names = ['a', 'b', 'c'].map(name);
    const nodes: TestNode[] = [];
    for (const one of names) nodes.push(await system.node(one));
    for (const one of names) await seen(one, 'ACTIVE');
    expect(await start(apis[0], names[1]!, ', mode: EXACT')).toMatchObject({ state: 'ACTIVE', mode: 'EXACT' });
    await told(names[1]!, 'ACTIVE');
    expect(nodes.map(({ opened }) => opened.length)).toEqual([0, 1, 0]);
    expect(nodes[1]!.opened).toMatchObject([{ pid: PID, mode: 'EXACT' }]);
    await until('the answer', () => answers(names[1]!).length > 0);
    expect(answers(names[1]!)).toMatchObject([{ id: requests(names[1]!)[0]!.id, key: nodes[1]!.key }]);
    for (const other of [names[0]!, names[2]!]) expect(of(other)).toEqual([]);
    expect(await stop(apis[1], names[1]!)).toMatchObject({ state: 'STOPPED' });
    await told(names[1]!, 'STOPPED');
  }, 90_000);

  it('a node that is away answers when it is back', async () => {
    const node = await system.node(name('a'));
    await seen(name('a'), 'ACTIVE');
    node.kill();
    await seen(name('a'), 'INACTIVE');
    expect(await start(apis[0], name('a'))).toMatchObject({ state: 'REQUESTED', reason: null });
    await told(name('a'), 'REQUESTED');
    expect(node.opened).toEqual([]);
    await node.start();
    await told(name('a'), 'ACTIVE');
    expect(node.opened).toHaveLength(1);
  }, 90_000);

  it('a request expires without a collector, and one that comes back later does not begin it', async () => {
    const node = await system.node(name('a'), () => system.ahead);
    await seen(name('a'), 'ACTIVE');
    node.kill();
    await seen(name('a'), 'INACTIVE');
    expect(await start(apis[0], name('a'))).toMatchObject({ state: 'REQUESTED' });
    await told(name('a'), 'REQUESTED');
    system.ahead = 61_000;
    await told(name('a'), 'EXPIRED');
    const reason = `Node ${name('a')} did not answer within 60 s.`;
    for (const api of apis) expect(await trace(api, name('a'))).toMatchObject({ reason, reasonCode: 'TRACE_EXPIRED' });
    expect(answers(name('a'))).toEqual([]);
    await node.start();
    await until('the answer', () => answers(name('a')).length > 0);
    expect(answers(name('a'))).toMatchObject([{ state: 'EXPIRED', reason, code: 'TRACE_EXPIRED' }]);
    await told(name('a'), 'EXPIRED');
    expect(node.opened).toEqual([]);
    // What was over stays over at the next start, too.
    node.kill();
    await node.start();
    await seen(name('a'), 'ACTIVE');
    expect(await start(apis[1], name('a'))).toMatchObject({ state: 'ACTIVE' });
    expect(node.opened).toHaveLength(1);
    await until('the second answer', () => answers(name('a')).length > 1);
    expect(answers(name('a')).map(({ state }) => state)).toEqual(['EXPIRED', 'ACTIVE']);
  }, 90_000);

  it.each([600_000, -600_000])(
    'a node whose clock is %d ms before the others’ is asked like any other',
    async (clock) => {
      const node = await system.node(name('a'), () => clock);
      await seen(name('a'), 'ACTIVE');
      const offset = (): number => apis[0].feed.live.node(name('a'))?.clockOffset ?? 0;
      await until('the difference of the clocks', () => Math.abs(offset() + clock) < 5_000);
      expect(await start(apis[0], name('a'))).toMatchObject({ state: 'ACTIVE' });
      await told(name('a'), 'ACTIVE');
      expect(node.opened).toHaveLength(1);
    },
    60_000,
  );

  it('a trace of a node that is away is stopped when it is back, however late', async () => {
    const node = await system.node(name('a'), () => system.ahead);
    await seen(name('a'), 'ACTIVE');
    await start(apis[0], name('a'));
    await told(name('a'), 'ACTIVE');
    node.kill();
    await seen(name('a'), 'INACTIVE');
    expect(await stop(apis[1], name('a'))).toMatchObject({ state: 'REQUESTED' });
    await told(name('a'), 'REQUESTED');
    system.ahead = 61_000;
    await told(name('a'), 'EXPIRED');
    await node.start();
    await told(name('a'), 'STOPPED');
    expect(node.opened).toHaveLength(1);
  }, 90_000);

  it('of two requests at once the last one wins, and both are answered', async () => {
    const node = await system.node(name('a'));
    await seen(name('a'), 'ACTIVE');
    const both = await Promise.all([
      start(apis[0], name('a'), ', mode: EXACT'),
      start(apis[1], name('a'), ', sampleInterval: 65536'),
    ]);
    for (const { state } of both) expect(state).toBe('ACTIVE');
    await until('both answers', () => answers(name('a')).length === 2);
    const asked = requests(name('a'));
    expect(answers(name('a')).map(({ id }) => id)).toEqual(asked.map(({ id }) => id));
    expect(node.opened.map(({ mode }) => mode)).toEqual(asked.map(({ mode }) => mode));
    await until('both APIs to tell the last', async () => {
      const traces = await Promise.all(apis.map((api) => trace(api, name('a'))));
      return traces.every((one) => one?.state === 'ACTIVE' && one.mode === asked[1]!.mode);
    });
  }, 90_000);

  it('of two requests to a node that is away both are answered when it is back', async () => {
    const node = await system.node(name('a'));
    await seen(name('a'), 'ACTIVE');
    node.kill();
    await seen(name('a'), 'INACTIVE');
    await start(apis[0], name('a'), ', mode: EXACT');
    await start(apis[1], name('a'), ', mode: SAMPLED');
    await until('both requests', () => requests(name('a')).length === 2);
    await node.start();
    await told(name('a'), 'ACTIVE');
    const [first, second] = requests(name('a'));
    await until('both answers', () => answers(name('a')).length === 2);
    expect(answers(name('a'))).toMatchObject([
      { id: first!.id, state: 'REFUSED', code: 'TRACE_OVERTAKEN' },
      { id: second!.id, state: 'ACTIVE', mode: 'SAMPLED' },
    ]);
    expect(node.opened).toHaveLength(1);
  }, 90_000);
}
