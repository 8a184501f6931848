export * from './build-event.ts';
export * from './build-report.ts';
export * from './build-request.ts';
export * from './build-view.ts';
export * from './session-message.ts';
export * from './platform-words.ts';
