export * from './courier.ts';
export * from './retry-schedule.ts';
export * from './sender.ts';
export * from './sign.ts';
