export * from './buildkit-config.ts';
export * from './cache-document.ts';
export * from './inline-cache.ts';
export * from './cache-manifest.ts';
