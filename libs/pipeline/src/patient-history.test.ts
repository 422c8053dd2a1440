import { silentLogger } from '@tidemark/service';
import { describe, expect, it } from 'vitest';
import { awaitHistory } from './patient-history.js';

const failure = (code: string, retriable: boolean, message: string) =>
  Object.assign(new Error(message), { code, retriable });

function wait(answers: (Error | 'there')[]) {
  const stop = new AbortController();
  let asked = 0;
  const patient = awaitHistory({
    ...{ logger: silentLogger, stopping: stop.signal, retry: { initialMs: 1, maxMs: 2 } },
    async attempt() {
      const answer = answers[Math.min(asked++, answers.length - 1)];
      if (answer instanceof Error) throw answer;
    },
    ping: async () => {},
  });
  return { patient, stop, asked: () => asked };
}

describe('a history that may be away', () => {
  it('is asked until it answers, and until a writer has made its tables', async () => {
    const { patient, asked } = wait([
      failure('HISTORY_UNAVAILABLE', true, 'nobody answers'),
      failure('HISTORY_SCHEMA', false, 'no table nodes'),
      'there',
    ]);
    expect(patient.health()).toMatchObject({ live: true, ready: false });
    await patient.opened;
    expect(asked()).toBe(3);
    expect(patient.health()).toEqual({ live: true, ready: true, detail: 'answers' });
  });

  it('is not asked again after a wrong password, or when its data are of another version', async () => {
    for (const code of ['HISTORY_ACCESS', 'HISTORY_VERSION']) {
      const { patient, asked } = wait([failure(code, false, 'refused')]);
      await expect(patient.opened).rejects.toThrow('refused');
      expect(asked()).toBe(1);
      expect(patient.health()).toEqual({ live: true, ready: false, detail: 'refused' });
    }
  });

  it('is waited for no longer than the app runs', async () => {
    const { patient, stop } = wait([failure('HISTORY_UNAVAILABLE', true, 'nobody answers')]);
    stop.abort();
    await expect(patient.opened).rejects.toThrow('stopped while waiting');
  });
});
