import {
  type Entry,
  entryFields,
  type ListField,
  listFields,
  mapFields,
  type MutableTarget,
  switchFields,
  type Target,
  textFields,
} from './target.ts';

const replaced: readonly ListField[] = ['tags', 'platforms'];

/** What a target says after another: buildx's rules, field by field. */
export function mergeTargets(first: Target, second: Target): Target {
  const merged: MutableTarget = { ...first };
  for (const field of textFields) {
    const value = second[field];
    if (value !== undefined && (field !== 'description' || value !== '')) merged[field] = value;
  }
  for (const field of switchFields) if (second[field] !== undefined) merged[field] = second[field];
  for (const field of listFields) {
    const value = second[field];
    if (value !== undefined) merged[field] = replaced.includes(field) ? value : [...(first[field] ?? []), ...value];
  }
  for (const field of mapFields) if (second[field] !== undefined) merged[field] = { ...first[field], ...second[field] };
  if (second.resources !== undefined) merged.resources = { ...first.resources, ...second.resources };
  for (const field of entryFields) {
    const value = second[field];
    if (value !== undefined)
      merged[field] = joins(field) ? normalEntries(field, [...(first[field] ?? []), ...value]) : value;
  }
  if (second.secret !== undefined) merged.secret = byId([...(first.secret ?? []), ...second.secret]);
  if (second.ssh !== undefined) merged.ssh = byId([...(first.ssh ?? []), ...second.ssh]);
  return merged;
}

const joins = (field: string): boolean => field === 'attest' || field === 'cache-from';

/** The last of each id, at the place of the first. */
export function byId<T extends { readonly id?: string }>(all: readonly T[]): readonly T[] {
  return [...new Map(all.map((each) => [each.id ?? '', each])).values()];
}

/** Attestations by type; of caches and outputs that are alike one. */
export function normalEntries(field: string, all: readonly Entry[]): readonly Entry[] {
  if (field === 'attest') return [...new Map(all.map((each) => [each['type'] ?? '', each])).values()];
  return withoutDuplicates(all);
}

/** In buildx's order: a later one that is alike gives its place to the last of all. */
function withoutDuplicates(all: readonly Entry[]): readonly Entry[] {
  const left = [...all];
  const places = new Map<string, number>();
  for (let at = left.length - 1; at >= 0; at--) {
    const key = keyOf(left[at] ?? {});
    const twin = places.get(key);
    places.set(key, at);
    if (twin === undefined) continue;
    const last = left.pop();
    if (last === undefined || twin >= left.length) continue;
    left[twin] = last;
    places.set(keyOf(last), twin);
  }
  return left;
}

const keyOf = (entry: Entry): string => JSON.stringify(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Each text once, none of them empty. */
export const distinctTexts = (texts: readonly string[]): readonly string[] => [
  ...new Set(texts.filter((text) => text !== '')),
];

/** A target as it is built and shown: nothing twice, nothing empty. */
export function normalTarget(target: Target): Target {
  const normal: MutableTarget = { ...target };
  for (const field of listFields) {
    const value = normal[field];
    if (value !== undefined && field !== 'inherits') normal[field] = distinctTexts(value);
  }
  for (const field of entryFields) {
    const value = normal[field];
    if (value !== undefined) normal[field] = normalEntries(field, value);
  }
  if (normal.secret !== undefined) normal.secret = byId(normal.secret);
  if (normal.ssh !== undefined) normal.ssh = byId(normal.ssh);
  if (normal.network === 'host') normal.entitlements = distinctTexts([...(normal.entitlements ?? []), 'network.host']);
  if (normal.contexts !== undefined)
    normal.contexts = Object.fromEntries(Object.entries(normal.contexts).filter(([, value]) => value !== ''));
  return normal;
}
