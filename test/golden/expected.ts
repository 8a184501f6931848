import { readFileSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { casePath, type GoldenCase } from './golden-case.ts';
import { type FileTree, flatten, TreeEntry } from './file-tree.ts';
import type { ReadImage } from './oci-archive.ts';

/**
 * Who says so: builders that gave the same, or, where none is named, the Dockerfile reference and BuildKit's source,
 * read against every line. `buildkit` is the one in Debian's docker.io 20.10.
 */
const Source = z.array(z.enum(['buildah', 'buildkit', 'reference'])).min(1);
const Bases = z.record(z.string(), TreeEntry);

export const Expected = z.strictObject({
  source: z.strictObject({ tree: Source, config: Source, history: Source }),
  /** the base image that the tree is written over; null for scratch */
  over: z.string().nullable(),
  tree: z.record(z.string(), TreeEntry),
  removed: z.array(z.string()),
  config: z.record(z.string(), z.unknown()),
  history: z.array(z.record(z.string(), z.unknown())),
});
export type Expected = z.infer<typeof Expected>;

/** An image as it is compared: without times, but those that a case asks for. */
export interface Facets {
  readonly tree: FileTree;
  /** everything of the config that is no history */
  readonly config: Readonly<Record<string, unknown>>;
  /** without times */
  readonly history: readonly Readonly<Record<string, unknown>>[];
}

const Config = z.looseObject({
  history: z.array(z.looseObject({ created: z.string().optional() })).default([]),
  config: z.looseObject({}).default({}),
});

/** The recorded trees of the base images, by name. */
const bases = new Map<string, FileTree>();
function baseTrees(): ReadonlyMap<string, FileTree> {
  if (bases.size > 0) return bases;
  const dir = fileURLToPath(new URL('../conformance/base_trees/', import.meta.url));
  for (const name of readdirSync(dir)) {
    const tree = Bases.parse(JSON.parse(readFileSync(dir + name, 'utf8')));
    bases.set(name.replace(/\.json$/, ''), withoutUserAttributes(tree));
  }
  return bases;
}

/** As {@link flatten} reads layers: attributes of users are not compared. */
function withoutUserAttributes(tree: FileTree): FileTree {
  return Object.fromEntries(
    Object.entries(tree).map(([path, { xattrs, ...entry }]) => {
      const kept = Object.entries(xattrs ?? {}).filter(([name]) => !name.startsWith('user.'));
      return [path, kept.length === 0 ? entry : { ...entry, xattrs: Object.fromEntries(kept) }];
    }),
  );
}

/** @param files address of the file server, which is another for each run */
export async function facetsOf(image: ReadImage, golden: GoldenCase, files: string): Promise<Facets> {
  const flat = Object.entries(await flatten(image.layers)).filter(([path]) => golden.ignore[path] === undefined);
  const tree = flat.map(([path, { mtime, ...entry }]) => [
    path,
    golden.mtimes.includes(path) && mtime !== undefined ? { ...entry, mtime } : entry,
  ]);
  const {
    history,
    created: _created,
    rootfs: _rootfs,
    ...config
  } = Config.parse(JSON.parse(JSON.stringify(image.config).replaceAll(files, 'FILES')));
  return {
    tree: z.record(z.string(), TreeEntry).parse(Object.fromEntries(tree)),
    config: { ...config, config: sorted(config.config) },
    history: history.map(({ created: _, ...line }) => line),
  };
}

const sorted = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

/** @returns the shortest way to say a tree over one of the bases */
export function overBase(tree: FileTree): Pick<Expected, 'over' | 'tree' | 'removed'> {
  let best: Pick<Expected, 'over' | 'tree' | 'removed'> = { over: null, tree, removed: [] };
  for (const [over, base] of baseTrees()) {
    const changed = Object.entries(tree).filter(([path, entry]) => !same(plain(entry), base[path]));
    const removed = Object.keys(base).filter((path) => tree[path] === undefined);
    if (changed.length + removed.length < Object.keys(best.tree).length + best.removed.length)
      best = { over, tree: Object.fromEntries(changed), removed };
  }
  return best;
}

/** As the bases are recorded: without the text. */
function plain({ text: _, ...entry }: TreeEntry): TreeEntry {
  return entry;
}

/** Of what a case expects, in the form of an image's facets. */
export function expectedTree({ over, tree, removed }: Pick<Expected, 'over' | 'tree' | 'removed'>): FileTree {
  const base = over === null ? {} : baseTrees().get(over);
  if (base === undefined) throw new Error(`no base ${over}`);
  const all = { ...base, ...tree };
  for (const path of removed) delete all[path];
  return all;
}

/** Lines that say where two trees differ; none for equal ones. */
export function treeDifferences(want: FileTree, got: FileTree): readonly string[] {
  const lines: string[] = [];
  for (const path of [...new Set([...Object.keys(want), ...Object.keys(got)])].sort()) {
    const [a, b] = [want[path], got[path]];
    const [left, right] = [a === undefined ? undefined : plain(a), b === undefined ? undefined : plain(b)];
    if (!same(left, right)) lines.push(`${path}: want ${show(a)}, got ${show(b)}`);
  }
  return lines;
}

const show = (entry: TreeEntry | undefined): string => (entry === undefined ? 'nothing' : JSON.stringify(entry));

/** Equal whatever the order of members. */
export function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  const order = (_: string, part: unknown): unknown =>
    typeof part === 'object' && part !== null && !Array.isArray(part) ? sorted({ ...part }) : part;
  return JSON.stringify(value, order) ?? 'undefined';
}

export async function readExpected(name: string): Promise<Expected> {
  return Expected.parse(JSON.parse(await readFile(casePath(name, 'expected.json'), 'utf8')));
}

/** A line for each path and each line of history, so that changes read well. */
export async function writeExpected(name: string, expected: Expected): Promise<void> {
  const record = (value: Readonly<Record<string, unknown>>): string =>
    lines(
      '{',
      '}',
      Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${JSON.stringify(part)}`),
    );
  const text = lines(
    '{',
    '}',
    [
      `"source": ${JSON.stringify(expected.source)}`,
      `"over": ${JSON.stringify(expected.over)}`,
      `"tree": ${record(expected.tree)}`,
      `"removed": ${JSON.stringify(expected.removed)}`,
      `"config": ${record(expected.config)}`,
      `"history": ${lines(
        '[',
        ']',
        expected.history.map((line) => JSON.stringify(line)),
      )}`,
    ],
    '',
  );
  await writeFile(casePath(name, 'expected.json'), `${text}\n`);
}

function lines(open: string, close: string, parts: readonly string[], indent = '  '): string {
  if (parts.length === 0) return open + close;
  return `${open}\n${parts.map((part) => `${indent}  ${part}`).join(',\n')}\n${indent}${close}`;
}
