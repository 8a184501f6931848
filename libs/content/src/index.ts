export * from './path.ts';
export * from './store.ts';
export * from './tree.ts';
