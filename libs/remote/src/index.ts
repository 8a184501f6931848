export {
  type FetchedFile,
  FileFetcher,
  type FileFetcherOptions,
  type FileRequest,
  type KnownFile,
} from './file-fetcher.ts';
export { EgressProxy } from './egress-proxy.ts';
export type { GitAuth } from './git-auth.ts';
export { isCommit, type ResolvedRef } from './git-refs.ts';
export { type GitLimits, GitRepositories, type GitRepositoriesOptions, type GitRequest } from './git-repositories.ts';
export { WebClient, type WebOptions } from './web-client.ts';
