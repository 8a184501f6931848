export * from './frontend.ts';
export * from './git-url.ts';
export * from './op.ts';
export * from './secret-name.ts';
export * from './symbolic-mode.ts';
export * from './vertex.ts';
export * from './wire.ts';
