export * from './choose-hits.ts';
export * from './keys.ts';
export * from './record.ts';
