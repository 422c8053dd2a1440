import { toNodeId } from '@tidemark/contracts';
import { describe, expect, it } from 'vitest';
import { completeConfig } from './config.js';
import { CollectError } from './errors.js';

const node = toNodeId('web-7');

describe('the settings of the collector', () => {
  it('are the defaults when only the node is named', () => {
    expect(completeConfig({ node })).toMatchObject({
      node: 'web-7',
      interval: 1000,
      linger: 0,
      procRoot: '/proc',
      smapsBudget: 2,
      smapsLimit: 50,
      keyframeInterval: 60_000,
      spoolDirectory: null,
    });
  });

  it('name every problem with its range', () => {
    const wrong = { node, interval: 99, cpuInterval: 1.5, smapsBudget: 101, procRoot: '', colour: 'red' };
    let message = '';
    try {
      completeConfig(wrong);
    } catch (error) {
      expect(error).toBeInstanceOf(CollectError);
      message = (error as CollectError).message;
    }
    expect(message.split('; ')).toEqual([
      'collect.interval: must be a whole number from 100 to 3600000',
      'collect.cpuInterval: must be a whole number from 100 to 3600000',
      'collect.procRoot: must be a path',
      'collect.smapsBudget: must be from 0 to 100',
      'collect: Unrecognized key: "colour"',
    ]);
  });

  it('refuse what is no node id', () => {
    expect(() => completeConfig({ node: 'a/b' as never })).toThrow('collect.node: "a/b" is not a node id');
  });
});
