import { chmod } from 'node:fs/promises';
import type { Digest } from '#oci';
import type { ContextTrees } from './context-trees.ts';
import type { Materialiser } from './materialiser.ts';
import type { Ref } from './ref.ts';
import { own, type TargetRoot } from './rooted-files.ts';
import { runCopy, type SourceTree } from './run-copy.ts';
import { exactPattern, shown, shownDigest } from './shown.ts';

/** What tells caches with different beginnings apart. @throws KilnError SOURCE_NOT_FOUND */
export async function seedOf(input: Ref, source: string): Promise<Digest> {
  if (input.kind === 'local') return shownDigest(input.tree, source, { unfiltered: input.unfiltered });
  return shownDigest(await input.tree(), source);
}

export interface Seeding {
  /** the cache's directory */
  readonly root: TargetRoot;
  readonly materialiser: Materialiser;
  readonly contexts: ContextTrees;
  readonly signal: AbortSignal;
}

/** Puts the directory at `source` of a tree into a new cache. A file comes under its own name. */
export async function seedCache(input: Ref, source: string, seeding: Seeding): Promise<void> {
  const { root, materialiser, contexts, signal } = seeding;
  const { workspace, snapshotter } = materialiser;
  const tree = input.kind === 'local' ? input.tree : await input.tree();
  const { directory } = shown(tree, source);
  await using mounted =
    input.kind === 'tree' ? await workspace.mount(await snapshotter.view(await input.snapshot())) : undefined;
  const from: SourceTree['from'] = mounted === undefined ? contexts.from : { path: mounted.path };
  await runCopy({
    op: { kind: 'copy', from: [{ input: 1, patterns: [exactPattern(source)] }], dest: '/' },
    sources: new Map([[1, { tree, from }]]),
    root,
    signal,
  });
  if (directory === undefined) return;
  await own(root, root.path, directory);
  await chmod(root.path, directory.mode);
}
