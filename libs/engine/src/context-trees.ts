import { chmod } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { ContentStore } from '#content';
import type { Digest } from '#oci';
import type { Snapshotter } from '#snapshot';
import { type Clock, once } from '#std';
import type { Materialiser } from './materialiser.ts';
import type { LocalRef } from './ref.ts';
import { own } from './rooted-files.ts';
import { runCopy } from './run-copy.ts';
import type { SentContent } from './sent-content.ts';
import { exactPattern, shown, shownDigest } from './shown.ts';

export interface ContextTreesOptions {
  readonly materialiser: Materialiser;
  readonly content: ContentStore;
  readonly sent: Pick<SentContent, 'bring'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A committed snapshot, and what of it is meant. */
export interface SnapshotPart {
  readonly snapshot: string;
  /** relative to its root */
  readonly path: string;
}

const PLACE = 'shown';
const PREFIX = 'context-';

/** Removes what builds of an earlier process left. */
export async function sweepContextTrees(snapshotter: Snapshotter): Promise<void> {
  for (const name of snapshotter.names()) if (name.startsWith(PREFIX)) await snapshotter.remove(name);
}

/** Parts of what the client sent as directories of this node, for mounts: each made once, and kept until the build ends. */
export class ContextTrees implements AsyncDisposable {
  readonly #options: ContextTreesOptions;
  readonly #made = new Map<Digest, () => Promise<SnapshotPart>>();
  readonly #snapshots: string[] = [];

  constructor(options: ContextTreesOptions) {
    this.#options = options;
  }

  /** where the bytes of the client's files are */
  get from(): Pick<ContextTreesOptions, 'content' | 'sent'> {
    const { content, sent } = this.#options;
    return { content, sent };
  }

  /** @throws KilnError SOURCE_NOT_FOUND */
  async part(local: LocalRef, source: string): Promise<SnapshotPart> {
    const key = shownDigest(local.tree, source, { unfiltered: local.unfiltered });
    const known = this.#made.get(key) ?? once(() => this.#make(local, source));
    this.#made.set(key, known);
    return await known();
  }

  /** Only when nothing is mounted of them any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#made.values()].map((made) => made()));
    for (const name of this.#snapshots) await this.#options.materialiser.snapshotter.remove(name);
  }

  async #make({ tree }: LocalRef, source: string): Promise<SnapshotPart> {
    const { materialiser, clock, signal } = this.#options;
    const { workspace, snapshotter, shift } = materialiser;
    const { selection, directory } = shown(tree, source);
    const key = workspace.name('a');
    const mounts = await snapshotter.prepare(key, await materialiser.empty());
    try {
      await using mounted = await workspace.mount(mounts);
      const root = { path: mounted.path, shift, clock };
      await runCopy({
        op: { kind: 'copy', from: [{ input: 1, patterns: [exactPattern(source)] }], dest: `/${PLACE}/` },
        sources: new Map([[1, { tree, from: this.from }]]),
        root,
        signal,
      });
      if (directory !== undefined) {
        await own(root, join(root.path, PLACE), directory);
        await chmod(join(root.path, PLACE), directory.mode);
      }
    } catch (thrown) {
      await snapshotter.remove(key);
      throw thrown;
    }
    const name = workspace.name(PREFIX);
    await snapshotter.commit(name, key);
    this.#snapshots.push(name);
    return { snapshot: name, path: selection.directory ? PLACE : `${PLACE}/${posix.basename(selection.source)}` };
  }
}
