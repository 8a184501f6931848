export { packContext, packFiles, type PackedContext, type WalkOptions } from '#context';
export { AccessClient, type PageOptions } from './access-client.ts';
export { type AgentAnswers, BuildSession } from './build-session.ts';
export type { ConnectionOptions } from './connection.ts';
export * from './docker-credentials.ts';
export type { EventOptions } from './event-stream.ts';
export * from './kiln-client.ts';
export type { ExpectedBytes } from './verify-output.ts';
export { unpackFiles, type UnpackOptions } from './unpack-files.ts';
