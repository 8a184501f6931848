export * from './build-queue.ts';
export * from './connection.ts';
export * from './reconciler.ts';
