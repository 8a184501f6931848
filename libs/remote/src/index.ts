export {
  type FetchedFile,
  FileFetcher,
  type FileFetcherOptions,
  type FileRequest,
  type KnownFile,
} from './file-fetcher.ts';
export { EgressProxy } from './egress-proxy.ts';
export type { GitAccess, GitAgent } from './git-auth.ts';
export { UNPRIVILEGED_ID } from './git-process.ts';
export { isCommit, type ResolvedRef } from './git-refs.ts';
export { type GitLimits, GitRepositories, type GitRepositoriesOptions, type GitRequest } from './git-repositories.ts';
export { WebClient, type WebOptions } from './web-client.ts';
