// Do all instances of the API answer, and alike?
import { pause } from './system.mjs';

const QUERY = `{
  cluster { nodesExpected nodesReporting findings { growing suspected confirmed } }
  nodes(first: 200) { totalCount nodes { id state boot sampledAt } }
  findings(first: 200) { nodes { id state at } pageInfo { hasNextPage } }
}`;
const PATIENCE_MS = 60_000;

/**
 * Asks until all say the same: the last words of the log may reach one before the other.
 *
 * @param {string[]} urls @param {{ nodes: Set<string>, findings: Set<string> }} wanted what the log has
 */
export async function checkApis(urls, wanted) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const problems = await compare(urls, wanted);
    if (problems.length === 0 || Date.now() > end) return { problems };
    await pause(1_000);
  }
}

async function compare(urls, wanted) {
  const answers = [];
  for (const url of urls) {
    try {
      answers.push(await query(url, QUERY));
    } catch (error) {
      return [`api ${url}: ${error.message}`];
    }
  }
  const problems = [];
  answers.forEach(({ nodes, findings }, index) => {
    const known = new Set(nodes.nodes.map(({ id }) => id));
    for (const id of wanted.nodes) if (!known.has(id)) problems.push(`api ${index + 1}: node ${id} is missing`);
    const told = new Set(findings.nodes.map(({ id }) => id));
    if (findings.pageInfo.hasNextPage) return;
    for (const id of wanted.findings) if (!told.has(id)) problems.push(`api ${index + 1}: finding ${id} is missing`);
  });
  const texts = answers.map((answer) => JSON.stringify(sorted(answer)));
  if (texts.some((text) => text !== texts[0])) problems.push(`apis differ: ${firstDifference(texts)}`);
  return problems;
}

function sorted(answer) {
  const byId = (a, b) => (a.id < b.id ? -1 : 1);
  return { ...answer, nodes: answer.nodes.nodes.toSorted(byId), findings: answer.findings.nodes.toSorted(byId) };
}

function firstDifference([left, ...others]) {
  const right = others.find((text) => text !== left);
  let at = 0;
  while (left[at] === right[at]) at++;
  return `…${left.slice(Math.max(0, at - 80), at + 60)}… against …${right.slice(Math.max(0, at - 80), at + 60)}…`;
}

export async function query(url, text) {
  const response = await fetch(`${url}/graphql`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: text }) },
    signal: AbortSignal.timeout(20_000),
  });
  const { data, errors } = await response.json();
  if (errors?.length > 0) throw new Error(errors[0].message);
  return data;
}
