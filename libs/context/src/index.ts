export * from './ignore.ts';
export * from './ingest-tar.ts';
export * from './listing-changes.ts';
export * from './manifest.ts';
export * from './pack-context.ts';
export { hasWildcard, matchPattern } from './pattern.ts';
export * from './select-sources.ts';
export { indexOf } from './tree-index.ts';
export { type ContextFile, readIgnoreRules, walkContext, type WalkOptions } from './walk-context.ts';
