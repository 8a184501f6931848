export type { SolveOptions } from './graph-solver.ts';
export type { Explaining, Missed } from './misses.ts';
export * from './op-runner.ts';
export * from './part.ts';
export * from './solve.ts';
export * from './vertex-failure.ts';
