/** How ids inside a sandbox stand on disk: id + shift. Whiteouts stay 0:0. */
export interface IdShift {
  readonly uid: number;
  readonly gid: number;
}

/** An overlay or a plain directory, as mount(2) takes it. `lower` has the topmost first. */
export type Mount =
  | {
      readonly kind: 'overlay';
      readonly lower: readonly string[];
      readonly upper?: string | undefined;
      readonly work?: string | undefined;
    }
  | { readonly kind: 'bind'; readonly source: string; readonly readonly: boolean };

/**
 * Stacks of directories. *key* is an active, writable snapshot; *name* a committed one, never changed again;
 * *parent* a committed one. Nothing is visible under a name before commit.
 */
export interface Snapshotter {
  /** Makes an active snapshot on `parent` (null: on nothing) and says how to mount it. */
  prepare(key: string, parent: string | null): Promise<readonly Mount[]>;
  /** How to mount a committed snapshot read-only. */
  view(name: string): Promise<readonly Mount[]>;
  /** Turns an active snapshot into a committed one. A name that exists already stays, and the key is removed. */
  commit(name: string, key: string): Promise<void>;
  has(name: string): boolean;
  /** All committed ones. */
  names(): readonly string[];
  /** What a committed one stands on. */
  parentOf(name: string): string | null;
  /** The directory with this snapshot's own changes (overlay's upper), active or committed. */
  upperOf(keyOrName: string): string;
  /** Removes an active snapshot, or a committed one without children. */
  remove(keyOrName: string): Promise<void>;
}
