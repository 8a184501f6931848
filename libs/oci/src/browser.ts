// The door for the dashboard: what needs nothing of Node.
export * from './descriptor.ts';
export * from './digest.ts';
export * from './manifest.ts';
export * from './media-type.ts';
export * from './platform.ts';
export * from './reference.ts';
export * from './package-url.ts';
