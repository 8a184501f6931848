// The door for the dashboard: what needs nothing of Node.
export type { Bytes } from './bytes.ts';
export type { Clock } from './clock.ts';
export * from './attributes.ts';
export * from './backoff.ts';
export * from './bell.ts';
export * from './brand.ts';
export * from './byte-size.ts';
export * from './canonical-json.ts';
export * from './comma-list.ts';
export * from './csv-fields.ts';
export * from './errors.ts';
export * from './logger.ts';
export * from './once.ts';
export * from './nearest.ts';
