import { describe, expect, it } from 'vitest';
import { parseWorkerName, workerName } from './worker-name.ts';

describe('the name of a worker', () => {
  it('tells builder and version of a client of Redis', () => {
    const client = `bull:a2lsbg==:w:${workerName('builder-1', '1.2.3')}`;
    expect(parseWorkerName(client)).toEqual({ builderId: 'builder-1', version: '1.2.3' });
  });

  it('is nobody else’s', () => {
    for (const client of ['', 'bull:a2lsbg==', 'bull:a2lsbg==:w:someone', 'kiln'])
      expect(parseWorkerName(client)).toBeUndefined();
  });
});
