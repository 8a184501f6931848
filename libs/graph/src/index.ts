export * from './frontend.ts';
export * from './op.ts';
export * from './vertex.ts';
