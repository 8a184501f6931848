export * from './build-queue.ts';
export * from './connection.ts';
export * from './postpone.ts';
export * from './reconciler.ts';
export * from './part-queues.ts';
export * from './queue-view.ts';
export * from './worker-name.ts';
