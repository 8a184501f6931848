export * from './store.ts';
export * from './tree.ts';
