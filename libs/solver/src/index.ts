export * from './op-runner.ts';
export * from './solve.ts';
