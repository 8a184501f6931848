import type { ResultId, StoredLayer } from '#cache';
import type { Tree } from '#content';
import type { IgnoreRules } from '#context';
import type { Digest, Layer } from '#oci';

/**
 * A tree during a build. Everything is asked for lazily: a hit that nothing stands on stays a list of descriptors, and a
 * step that just ran can be built upon before its layer is digested.
 */
export interface TreeRef {
  readonly kind: 'tree';
  id(): Promise<ResultId>;
  /** what a result that stands on it names as parents: itself; for a merge, which is no result, what it merges */
  results(): Promise<readonly ResultId[]>;
  /** the same layers as an image lists them; resolves when the last one is known, and moves no bytes */
  descriptors(): Promise<readonly Layer[]>;
  /** all layers from the first; resolves when the last one is known, and those of an image are stored */
  layers(): Promise<readonly StoredLayer[]>;
  /** resolves when all layers are stored, as others would find them */
  stored(): Promise<void>;
  /** every file with its digest; resolves when the last layer is digested */
  tree(): Promise<Tree>;
  /** Merkle digest of {@link tree} */
  digest(): Promise<Digest>;
  /** when it was made; undefined for what no build made */
  createdAtMs(): Promise<number | undefined>;
  /** name of a committed snapshot with these files; unpacks what is not on this node yet */
  snapshot(): Promise<string>;
}

/** A tree that the client sent, or that was fetched: never unpacked, files are read from the content store as a COPY selects them. */
export interface LocalRef {
  readonly kind: 'local';
  readonly tree: Tree;
  /** before .dockerignore, to tell what was left out from what never was there */
  readonly unfiltered: Tree;
  /** what .dockerignore leaves out, of what a client may not even have sent */
  readonly ignore?: IgnoreRules | undefined;
}

export type Ref = TreeRef | LocalRef;
