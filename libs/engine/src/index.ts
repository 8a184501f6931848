export * from './accounts.ts';
export * from './build.ts';
export * from './export.ts';
export * from './images.ts';
export * from './materialiser.ts';
export * from './run-exec.ts';
export * from './step-logs.ts';
export * from './workspace.ts';
