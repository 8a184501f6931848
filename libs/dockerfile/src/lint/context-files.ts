/** What a check asks of the files that come with a build. Paths are relative to the context's root. */
export interface ContextFiles {
  /** a file or directory that COPY sees */
  has(path: string): boolean;
  /** all files that COPY sees below a directory; the root is the empty path */
  below(directory: string): Iterable<string>;
  /** whether .dockerignore excludes a path or a directory above it; undefined where exceptions make that uncertain */
  readonly excludes: ((path: string) => boolean) | undefined;
}
