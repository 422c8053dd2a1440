/** What the address after `#` asks for. */
export type Route =
  | { view: 'cluster' }
  | { view: 'node'; node: string }
  | { view: 'process'; key: string }
  | { view: 'pid'; node: string; pid: number }
  | { view: 'findings'; id?: string }
  | { view: 'program'; program: string }
  | { view: 'unknown'; path: string };

export interface Place {
  route: Route;
  search: URLSearchParams;
}

export function parsePlace(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  return { route: parseRoute(path), search: new URLSearchParams(query) };
}

function parseRoute(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const names = parts.map(decoded);
  const [first, second] = names;
  if (names.includes(undefined)) return { view: 'unknown', path };
  if (names.length === 0) return { view: 'cluster' };
  if (first === 'findings' && names.length === 1) return { view: 'findings' };
  if (first === 'findings' && names.length === 2) return { view: 'findings', id: second! };
  if (first === 'nodes' && names.length === 2) return { view: 'node', node: second! };
  if (first === 'nodes' && names.length === 4 && names[2] === 'pids' && /^\d{1,10}$/.test(names[3]!)) {
    return { view: 'pid', node: second!, pid: Number(names[3]) };
  }
  if (first === 'processes' && names.length === 5) return { view: 'process', key: names.slice(1).join('/') };
  if (first === 'programs' && names.length === 2) return { view: 'program', program: second! };
  return { view: 'unknown', path };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function link(...parts: string[]): string {
  return `#/${parts.map((part) => encodeURIComponent(part.replace(/\p{Cs}/gu, '\ufffd'))).join('/')}`;
}

/** Addresses of the views; whatever a host chose as a name stays one part of a path. */
export const href = {
  cluster: () => '#/',
  node: (id: string) => link('nodes', id),
  process: (key: string) => link('processes', ...key.split('/')),
  findings: () => '#/findings',
  finding: (id: string) => link('findings', id),
  program: (name: string) => link('programs', name),
};

/** The address with some of its settings changed; undefined and '' take one away. */
export function withSearch(hash: string, changes: Readonly<Record<string, string | undefined>>): string {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const search = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') search.delete(name);
    else search.set(name, value);
  }
  const text = search.toString();
  return `#${path || '/'}${text === '' ? '' : `?${text}`}`;
}
