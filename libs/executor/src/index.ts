export * from './executor.ts';
export type { ResolveInRoot } from './mount-stubs.ts';
export { findNodePlatforms, type NodePlatforms, type NodePlatformsOptions } from './node-platforms.ts';
export { RuncExecutor, type RuncExecutorOptions } from './runc-executor.ts';
export type { IdMap } from './runtime-spec.ts';
export { ulimitNames } from './rlimits.ts';
export { trySandbox } from './try-sandbox.ts';
