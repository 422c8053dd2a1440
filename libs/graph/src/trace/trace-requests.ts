import { TRACE_REQUEST_MS, type TraceRequestRecord } from '@tidemark/contracts';
import type { LiveNode, LiveProcess, LiveTrace } from '@tidemark/live';
import { randomUUID } from 'node:crypto';
import { GraphError } from '../graph-error.js';
import type { GraphContext, GraphSources } from '../sources.js';
import { findTrace } from './find-trace.js';
import { liveTraceModel, type TraceModel } from './trace-model.js';

/** How long the asker waits for the node. */
export const ANSWER_MS = 5_000;
/** Clocks that differ by less than a record may take on its way are taken for the same, milliseconds. */
const SAME_CLOCK_MS = 5_000;
export const LEAST_INTERVAL = 4_096;
export const MOST_INTERVAL = 2 ** 30;

export interface StartInput {
  node: string;
  pid: number;
  mode?: TraceModel['mode'] | null;
  sampleInterval?: number | null;
}

/** Throws GraphError; a refusal by the node is an answer. */
export async function startTrace(sources: GraphSources, context: GraphContext, input: StartInput): Promise<TraceModel> {
  const field = 'startAllocationTrace';
  checkToken(field, context);
  const mode = input.mode ?? 'SAMPLED';
  const sampleInterval = input.sampleInterval ?? null;
  if (mode === 'DORMANT') {
    throw new GraphError('BAD_INPUT', 'mode: DORMANT takes no events; use SAMPLED or EXACT, or stopAllocationTrace');
  }
  if (sampleInterval !== null && mode === 'EXACT') {
    throw new GraphError('BAD_INPUT', 'sampleInterval: EXACT takes every allocation; leave it out, or use SAMPLED');
  }
  if (sampleInterval !== null && !(sampleInterval >= LEAST_INTERVAL && sampleInterval <= MOST_INTERVAL)) {
    const range = `${LEAST_INTERVAL} to ${MOST_INTERVAL} bytes (below, use mode EXACT)`;
    throw new GraphError('BAD_INPUT', `sampleInterval: ${sampleInterval} must be from ${range}`);
  }
  const { node, process } = livingProcess(sources, field, input);
  return ask(sources, field, { node, process, action: 'START', mode, sampleInterval });
}

export async function stopTrace(
  sources: GraphSources,
  context: GraphContext,
  input: { node: string; pid: number },
): Promise<TraceModel> {
  const field = 'stopAllocationTrace';
  checkToken(field, context);
  checkPid(input.pid);
  const process = sources.live.process(input.node, input.pid);
  const known = process
    ? sources.traces.trace(process.key, sources.now())
    : sources.traces.newest(input.node, input.pid, sources.now());
  if (process && known && isOpen(known)) {
    const node = knownNode(sources, field, input.node);
    const mode = known.mode === 'EXACT' ? 'EXACT' : 'SAMPLED';
    return ask(sources, field, { node, process, action: 'STOP', mode, sampleInterval: known.sampleInterval });
  }
  if (known) return liveTraceModel(known);
  const stored = process && (await findTrace(sources, context, process.key));
  if (stored) return stored;
  knownNode(sources, field, input.node);
  throw new GraphError('TRACE_NOT_FOUND', `${field}: process ${input.pid} of node ${input.node} was never traced`);
}

const isOpen = ({ state }: LiveTrace): boolean => state === 'ACTIVE' || state === 'REQUESTED';

function checkToken(field: string, { authorized }: GraphContext): void {
  if (authorized) return;
  throw new GraphError('UNAUTHENTICATED', `${field}: needs the header Authorization: Bearer TOKEN`, { status: 401 });
}

function checkPid(pid: number): void {
  if (pid > 0) return;
  throw new GraphError('BAD_INPUT', `pid: ${pid} must be above 0`);
}

/** A node that is silent may come back in time; one that said goodbye will not hear what is asked. */
function knownNode({ live }: GraphSources, field: string, id: string): LiveNode {
  const node = live.node(id);
  const name = JSON.stringify(id.slice(0, 80));
  if (!node) throw new GraphError('NODE_NOT_FOUND', `${field}: node ${name} was never heard of`);
  if (node.state !== 'LEFT') return node;
  const why = 'its collector was stopped; try again when it is ACTIVE';
  throw new GraphError('NODE_INACTIVE', `${field}: node ${name} cannot answer: ${why}`);
}

function livingProcess(
  sources: GraphSources,
  field: string,
  { node: id, pid }: StartInput,
): { node: LiveNode; process: LiveProcess } {
  checkPid(pid);
  const node = knownNode(sources, field, id);
  const process = sources.live.process(id, pid);
  if (process) return { node, process };
  const message = `${field}: no process ${pid} lives on node ${JSON.stringify(id.slice(0, 80))}`;
  throw new GraphError('PROCESS_NOT_FOUND', message);
}

/** Now by the node's clock, which decides whether it is too late to begin. */
function timeAt(node: LiveNode, now: number): number {
  const offset = node.clockOffset ?? 0;
  return Math.abs(offset) < SAME_CLOCK_MS ? now : now - offset;
}

async function ask(
  sources: GraphSources,
  field: string,
  {
    node: of,
    process: { node, pid, start, key },
    ...wanted
  }: { node: LiveNode; process: LiveProcess } & Pick<TraceRequestRecord, 'action' | 'mode' | 'sampleInterval'>,
): Promise<TraceModel> {
  const { traces, answers, now } = sources;
  const requestedAt = timeAt(of, now());
  const times = { requestedAt, expiresAt: requestedAt + TRACE_REQUEST_MS };
  const request = {
    ...({ v: 1, type: 'trace-request', id: randomUUID(), node, pid, start, maxFrames: null } as const),
    ...{ ...wanted, ...times },
  };
  // Nobody waits for a node that is silent: it may take the minute that the request has.
  const answered = answers.wait(request.id, of.state === 'ACTIVE' ? ANSWER_MS : 0);
  try {
    await sources.requestTrace(request);
  } catch (error) {
    answers.tell(request.id);
    sources.logger.warn({ node, pid, error: (error as Error).message }, 'trace request not written');
    throw new GraphError('LOG_UNAVAILABLE', `${field}: the event log does not answer; try again`, { status: 503 });
  }
  if (!(await answered)) traces.applyControl(request, now());
  const trace = traces.trace(key, now());
  if (trace) return liveTraceModel(trace);
  throw new GraphError('TRACE_NOT_FOUND', `${field}: nothing is known of the trace of process ${pid} of node ${node}`);
}
