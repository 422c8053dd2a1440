import { epoch, silentSince, token, tokenWanted } from './session.js';

/** Of one field, or of the whole question. */
export interface Problem {
  message: string;
  code: string;
  path: string;
}

export interface Answer<T> {
  data: T | null;
  problems: Problem[];
}

/** The API on whatever address this page came from. */
export const API_URL = new URL('graphql', document.baseURI);

const TIMEOUT_MS = 20_000;
/** What a proxy says when nobody is behind it. */
const GONE = new Set([502, 503, 504]);

/** One question; problems of single fields come with the rest of the answer. Throws Error when there is no answer. */
export async function ask<T>(
  query: string,
  variables: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<Answer<T>> {
  let response: Response;
  let body: { data?: T | null; errors?: unknown };
  try {
    response = await fetch(API_URL, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token.value && { authorization: `Bearer ${token.value}` }) },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.any([...(signal ? [signal] : []), AbortSignal.timeout(TIMEOUT_MS)]),
    });
    body = (await response.json()) as typeof body;
  } catch (error) {
    if (signal?.aborted) throw error;
    silentSince.value ??= Date.now();
    throw new Error('the API does not answer', { cause: error });
  }
  if (GONE.has(response.status)) {
    silentSince.value ??= Date.now();
    throw new Error('the API does not answer');
  }
  if (silentSince.value !== undefined) {
    silentSince.value = undefined;
    epoch.value++;
  }
  const problems = readProblems(body.errors);
  const refused = problems.find(({ code }) => code === 'UNAUTHENTICATED');
  if (refused) tokenWanted.value = refused.message;
  return { data: body.data ?? null, problems };
}

function readProblems(errors: unknown): Problem[] {
  if (!Array.isArray(errors)) return [];
  return errors.map((error: { message?: unknown; path?: unknown; extensions?: { code?: unknown } }) => ({
    message: String(error.message ?? 'unknown error'),
    code: String(error.extensions?.code ?? ''),
    path: Array.isArray(error.path) ? error.path.join('.') : '',
  }));
}
