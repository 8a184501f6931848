export * from './memory-content-store.ts';
export * from './fault-registry.ts';
