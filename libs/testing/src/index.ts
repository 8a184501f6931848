export * from './memory-content-store.ts';
