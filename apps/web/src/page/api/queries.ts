const GROWTH = 'growth { bytesPerHour low high window secondsToExhaustion source }';
const LEAK = 'leak { state since confidence imminent }';
const PAGE = 'totalCount pageInfo { hasNextPage endCursor }';

const PROCESS_ROW = `key pid program commandLine user state node { id }
  memory { rss pss anonymous swap } cpu { percent } ${GROWTH} ${LEAK}`;

export const FINDING = `id kind nodeId processKey pid program commandLine user service state previous imminent confidence
  openedAt at bytes limit ${GROWTH} secondsToExhaustion message evidence { name value } acknowledgement { at note }`;

/** Of the header: what is open, and the server's clock. */
export const STATUS = `query Status { cluster { version now nodesReporting nodesExpected
  findings { growing suspected confirmed imminent } } }`;

export const CLUSTER = `query Cluster {
  cluster { version now nodesExpected nodesReporting nodesAwaited processes
    memory { total available used swapTotal swapFree }
    findings { growing suspected confirmed imminent }
    programs(metric: PSS, first: 8) { program total processes nodes max } }
  growing: processes(first: 5, orderBy: { field: GROWTH }) {
    nodes { key pid program node { id } memory { rss } ${GROWTH} ${LEAK} } } }`;

export const NODES = `query Nodes($filter: NodeFilter, $orderBy: NodeOrder, $first: Int, $after: String) {
  nodes(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { ${PAGE}
    nodes { id hostname state lastSeen stale cpuCount memory { total available used } load { one }
      pressure { some { avg10 } } processCount
      top: processes(first: 1, orderBy: { field: RSS }) { nodes { key program memory { rss } } }
      findings { id state imminent } } } }`;

export const NODE = `query Node($id: ID!) {
  node(id: $id) { id hostname state lastSeen sampledAt stale kernel architecture cpuCount uptime bootedAt
    memory { total available used free active inactive buffers cached shared swapTotal swapFree swapCached }
    load { one five fifteen } pressure { some { avg10 avg60 avg300 } } cpu { busyPercent } counters { oomKills }
    processCount limitations dataLoss { missedChunks droppedChunks } findings { ${FINDING} } } }`;

export const PROCESSES = `query Processes($filter: ProcessFilter, $orderBy: ProcessOrder, $first: Int, $after: String) {
  processes(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { ${PAGE} nodes { ${PROCESS_ROW} } } }`;

/** Of one node, also when it is silent. */
export const NODE_PROCESSES = `query NodeProcesses($id: ID!, $filter: ProcessFilter, $orderBy: ProcessOrder, $first: Int,
    $after: String) {
  node(id: $id) { processes(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { ${PAGE}
    nodes { ${PROCESS_ROW} } } } }`;

const POINTS = 'at value min max';

export const NODE_SERIES = `query NodeSeries($id: ID!, $metric: NodeMetric!, $period: Period!) {
  node(id: $id) { series(metric: $metric, period: $period) { ${POINTS} } } }`;

export const PROCESS_SERIES = `query ProcessSeries($key: ID!, $metric: MemoryMetric!, $period: Period!) {
  processByKey(key: $key) { series(metric: $metric, period: $period) { ${POINTS} } } }`;

export const PROGRAM_SERIES = `query ProgramSeries($program: String!, $metric: MemoryMetric!, $period: Period!) {
  clusterAggregate(filter: { program: $program }, metric: $metric, period: $period) { series { ${POINTS} } } }`;

export const PROCESS = `query Process($key: ID!) {
  processByKey(key: $key) { key node { id state } pid ppid program commandLine user service cgroup state startedAt exitedAt
    updatedAt stale threads
    memory { rss vms shared text data lib dirty anonymous file shmem swap pss uss }
    cpu { user system percent } faults { minor major } ${GROWTH} ${LEAK}
    parent { key pid program } children { key pid program memory { rss } } findings { ${FINDING} } } }`;

export const PROCESS_KEY = 'query ProcessKey($node: ID!, $pid: Int!) { process(node: $node, pid: $pid) { key } }';

export const TRACE = `query Trace($key: ID!, $first: Int!) {
  processByKey(key: $key) { trace { state mode means reason startedAt at partial liveBytes liveCount allocatedBytes
    standardError { liveBytes } explained dropped warnings sitesTotal atRiskTotal
    sites(first: $first, orderBy: { field: VERDICT }) { id frames { function file line module offset inlined } truncated
      liveBytes liveCount allocatedBytes bytesPerHour low high verdict confidence generations message }
    atRisk(first: $first) { time size address caller site { id } } } } }`;

export const START_TRACE = `mutation StartTrace($node: ID!, $pid: Int!, $mode: TraceMode!) {
  startAllocationTrace(node: $node, pid: $pid, mode: $mode) { state reason } }`;

export const STOP_TRACE = `mutation StopTrace($node: ID!, $pid: Int!) {
  stopAllocationTrace(node: $node, pid: $pid) { state reason } }`;

export const FINDINGS = `query Findings($filter: FindingFilter, $first: Int, $after: String) {
  findings(filter: $filter, first: $first, after: $after) { ${PAGE} nodes { ${FINDING} } } }`;

export const FINDING_BY_ID = `query Finding($id: ID!) { finding(id: $id) { ${FINDING} } }`;

export const ACKNOWLEDGE = `mutation Acknowledge($id: ID!, $note: String) {
  acknowledgeFinding(id: $id, note: $note) { ${FINDING} } }`;

export const LEAK_SUSPECTED = `subscription LeakSuspected { leakSuspected { ${FINDING} } }`;

export const PROGRAM = `query Program($program: String!, $metric: MemoryMetric!) {
  clusterAggregate(filter: { program: $program }, metric: $metric) { total processes measured unmeasuredRss
    nodesReporting nodesExpected max mean p95
    byNode(first: 100) { node { id state } total processes max } } }`;
