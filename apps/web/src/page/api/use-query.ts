import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, type Problem } from './ask.js';
import { epoch } from './session.js';

export interface Asked<T> {
  /** The newest answer; stays while the next one is on its way, and when there is none. */
  data: T | null;
  problems: Problem[];
  /** True until there is a first answer. */
  loading: boolean;
  /** Why there is no answer now. */
  failure: string | undefined;
  refresh(): void;
}

type State<T> = Omit<Asked<T>, 'refresh'>;

/** Asks, and asks again every so many milliseconds while the page can be seen. */
export function useQuery<T>(query: string, variables: Record<string, unknown>, everyMs: number): Asked<T> {
  const [state, setState] = useState<State<T>>({ data: null, problems: [], loading: true, failure: undefined });
  const [asked, setAsked] = useState(0);
  const key = JSON.stringify(variables);
  const given = useRef(variables);
  given.current = variables;
  const again = epoch.value;

  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      try {
        const { data, problems } = await ask<T>(query, given.current, end.signal);
        if (end.signal.aborted) return;
        setState((before) => ({ data: data ?? before.data, problems, loading: false, failure: undefined }));
      } catch (error) {
        if (end.signal.aborted) return;
        setState((before) => ({ ...before, loading: false, failure: (error as Error).message }));
      }
      timer = setTimeout(() => (document.hidden ? undefined : void round()), everyMs);
    };
    const onSight = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      void round();
    };
    void round();
    document.addEventListener('visibilitychange', onSight);
    return () => {
      end.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onSight);
    };
  }, [query, key, everyMs, again, asked]);

  return { ...state, refresh: () => setAsked((before) => before + 1) };
}
