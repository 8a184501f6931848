import { MemoryRecords } from '#testing';
import { describe } from 'vitest';
import { cacheStoreContract } from './cache-store.contract.ts';

describe('MemoryCacheStore', () => {
  cacheStoreContract(async () => {
    const records = new MemoryRecords();
    return {
      async build(project, scope) {
        const store = records.open(project, scope === 'pr' ? ['pr', 'main'] : ['main']);
        return { store, lose: async () => store.lose() };
      },
      async [Symbol.asyncDispose]() {},
    };
  });
});
