export * from './memory-content-store.ts';
export * from './fault-registry.ts';
export * from './registry-fixture.ts';
export * from './step-clock.ts';
export * from './tree-arbitraries.ts';
export * from './services.ts';
export * from './tar-of.ts';
export * from './memory-cache-store.ts';
