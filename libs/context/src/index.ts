export { DigestTable } from './digest-table.ts';
export { decompress } from './decompress.ts';
export * from './hash-context.ts';
export * from './ignore.ts';
export * from './ingest-tar.ts';
export * from './listing-changes.ts';
export {
  type ContextManifest,
  decodeManifest,
  encodeManifest,
  filterManifest,
  makeManifest,
  treeOf,
} from './manifest.ts';
export * from './local-file.ts';
export { manifestBytes, type ManifestReading, readManifest } from './read-manifest.ts';
export * from './stat-cache.ts';
export { hasWildcard, matchPattern } from './pattern.ts';
export * from './select-sources.ts';
export { indexOf } from './tree-index.ts';
export { type ContextFile, readIgnoreRules, walkContext, type WalkOptions } from './walk-context.ts';
