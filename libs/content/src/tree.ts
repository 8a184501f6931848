import type { Digest } from '#oci';

/**
 * One file of a tree. Paths are relative to the root, slash-separated, without `.` and `..`; the root itself is ``.
 * Bytes that are not UTF-8 stand as lone surrogates U+DC80 to U+DCFF (see {@link decodePath}), so that no name is lost.
 */
export interface TreeEntry {
  readonly path: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo';
  /** permission bits with setuid, setgid and sticky: at most 0o7777 */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** seconds since the epoch; kept in layers, in no digest of a tree */
  readonly mtime: number;
  /** file: bytes */
  readonly size?: number | undefined;
  /** file: of its bytes */
  readonly digest?: Digest | undefined;
  /** symlink: its target */
  readonly link?: string | undefined;
  /** char and block */
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
  /** name to value in base64 */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  /** file: path of the first name (in order of paths) of the same file, where this is a further one */
  readonly hardlink?: string | undefined;
}

/** What one layer does to the tree below it, in order of paths. */
export type DeltaEntry =
  | (TreeEntry & {
      /** dir: what lies below in lower layers is hidden */
      readonly opaque?: true | undefined;
    })
  | { readonly path: string; readonly type: 'whiteout' };

/** Files by path. */
export type Tree = ReadonlyMap<string, TreeEntry>;
