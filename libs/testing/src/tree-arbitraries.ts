import { type DeltaEntry, parentOf, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import fc from 'fast-check';

/** Few names, so that trees and deltas meet; one sorts between `a` and `a/…` by bytes, one is no UTF-8. */
const name = fc.constantFrom('a', 'b', 'a-', '\udce9', '😀');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));

const common = {
  mode: fc.constantFrom(0o644, 0o755, 0o4755),
  uid: fc.constantFrom(0, 1000),
  gid: fc.constantFrom(0, 5),
  mtime: fc.constantFrom(0, 1, 1_700_000_000),
};
const file = fc
  .record({ ...common, type: fc.constant('file' as const), text: fc.constantFrom('', 'x', 'y') })
  .map(({ text, ...rest }) => ({ ...rest, digest: digestOf(text), size: text.length }));
const directory = fc.record({ ...common, type: fc.constant('dir' as const) });
const symlink = fc.record({
  ...common,
  type: fc.constant('symlink' as const),
  link: fc.constantFrom('a', '/b', '../\udce9'),
});
const device = fc.record({
  ...common,
  type: fc.constantFrom('char' as const, 'block' as const),
  device: fc.record({ major: fc.nat(9), minor: fc.nat(9) }),
});
const node = fc.oneof(
  { arbitrary: directory, weight: 3 },
  { arbitrary: file, weight: 3 },
  { arbitrary: symlink, weight: 1 },
  { arbitrary: device, weight: 1 },
);

/** Whole trees: every parent is a directory of the tree. */
export const treeEntries = fc.array(fc.tuple(path, node), { maxLength: 14 }).map((pairs) => {
  const entries = new Map<string, TreeEntry>();
  for (const [at, fields] of pairs) {
    const parent = parentOf(at);
    if (parent === '' || entries.get(parent)?.type === 'dir') {
      if (!(fields.type !== 'dir' && [...entries.keys()].some((other) => other.startsWith(`${at}/`)))) {
        entries.set(at, { path: at, ...fields });
      }
    }
  }
  return [...entries.values()];
});

/** Layers: anything on anything, parents first. */
export const deltaEntries = fc
  .array(
    fc.oneof(
      { arbitrary: fc.tuple(path, node, fc.boolean()), weight: 3 },
      { arbitrary: fc.tuple(path, fc.constant('whiteout' as const), fc.boolean()), weight: 1 },
    ),
    { maxLength: 8 },
  )
  .map((triples) => {
    const entries = new Map<string, DeltaEntry>();
    for (const [at, what, opaque] of triples) {
      let below = parentOf(at);
      while (below !== '' && (entries.get(below)?.type ?? 'dir') === 'dir') below = parentOf(below);
      const holds = [...entries.keys()].some((other) => other.startsWith(`${at}/`));
      if (below !== '' || (holds && (what === 'whiteout' || what.type !== 'dir'))) continue;
      if (what === 'whiteout') entries.set(at, { path: at, type: 'whiteout' });
      else if (what.type === 'dir' && opaque) entries.set(at, { path: at, ...what, opaque: true });
      else entries.set(at, { path: at, ...what });
    }
    return [...entries.values()];
  });
