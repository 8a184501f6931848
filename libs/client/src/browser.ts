// The door for the dashboard: what needs nothing of Node.
export { AccessClient, type PageOptions } from './access-client.ts';
export type { Answer, ApiCall, ApiConnection } from './api-connection.ts';
export { BuildsClient, type ListOptions } from './builds-client.ts';
export type { EventOptions } from './event-stream.ts';
export { type ImageListOptions, ImagesClient } from './images-client.ts';
export type { RetryOptions } from './submit-options.ts';
export { FetchConnection, type FetchOptions } from './fetch-connection.ts';
