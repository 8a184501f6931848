export * from './choose-hits.ts';
export * from './flights.ts';
export * from './keys.ts';
export * from './record.ts';
export * from './whole-records.ts';
