export * from './op-runner.ts';
export * from './part.ts';
export * from './solve.ts';
