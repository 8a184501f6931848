import { MemoryRecords } from '#testing';
import { describe } from 'vitest';
import { flightsContract } from './flights.contract.ts';

describe('MemoryFlights', () => {
  flightsContract(async () => {
    const records = new MemoryRecords();
    return {
      async build(project, scope) {
        const store = records.open(project, scope === 'pr' ? ['pr', 'main'] : ['main']);
        return { store, flights: store.flights, lose: async () => store.lose() };
      },
      async [Symbol.asyncDispose]() {},
    };
  });
});
