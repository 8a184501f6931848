import type { Digest } from '#oci';
import type { KnownFile } from '#remote';

/** What a project's builds fetched, so that it is not fetched again. */
export interface SourceMemory {
  /** What a URL gave last. */
  file(url: string): Promise<KnownFile | null>;
  /** A file with these bytes, whatever URL gave it. */
  fileOf(digest: Digest): Promise<KnownFile | null>;
  keepFile(url: string, file: KnownFile): Promise<void>;
  /** The manifest of a tree that was made of what `key` says. */
  tree(key: Digest): Promise<Digest | null>;
  keepTree(key: Digest, manifest: Digest): Promise<void>;
}
