export * from './browser.ts';
export * from './bytes.ts';
export * from './clock.ts';
export * from './kiln-version.ts';
export * from './random.ts';
export * from './seal.ts';
export * from './foreground.ts';
