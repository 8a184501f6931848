import type { ExplainedKey, OpKey, Producer, Result, ResultId } from '#cache';
import { type CacheEntry, type KnownKey, MAX_KEYS } from '#cache-manifest';
import type { Definition, Vertex } from '#graph';
import { type Digest, formatPlatform } from '#oci';

/** A content key of a result, and of which operation. */
export interface ContentKey {
  readonly result: ResultId;
  readonly key: ExplainedKey['key'];
  readonly op: OpKey;
}

/** The content keys that the farm knows of results, in the scopes that the build reads. */
export type FindContentKeys = (
  wanted: readonly { readonly result: ResultId; readonly op: OpKey }[],
) => Promise<readonly ContentKey[]>;

interface Known {
  readonly vertex: Vertex;
  readonly keys: readonly ExplainedKey[];
  readonly result: Result;
}

/** Of each step of a build its result, however it came to be. */
export class StepResults {
  readonly #known = new Map<Digest, Known>();

  constructor(readonly definition: Definition) {}

  add(vertex: Vertex, keys: readonly ExplainedKey[], result: Result): void {
    this.#known.set(vertex.digest, { vertex, keys, result });
  }

  /** Whose result a vertex has; undefined where it is no step, or where nobody needed it. */
  producerOf(vertex: Digest): Producer | undefined {
    return this.#known.get(vertex)?.result.producer;
  }

  /** In the order of the graph; a result that several steps have is there once. */
  entries(): readonly CacheEntry[] {
    const entries = new Map<ResultId, CacheEntry>();
    for (const digest of this.definition.vertices.keys()) {
      const step = this.#known.get(digest);
      if (step === undefined) continue;
      const { vertex, keys, result } = step;
      const platform = formatPlatform(vertex.platform);
      const known = keys.map(({ key, kind, op }) => ({ key, kind, op, platform }));
      const earlier = entries.get(result.id) ?? { result, keys: [] };
      entries.set(result.id, { result: earlier.result, keys: distinct([...earlier.keys, ...known]) });
    }
    return [...entries.values()];
  }
}

/** What a step that hit was not asked for: so that a cache says the same whether its steps ran or hit. */
export async function withContentKeys(
  entries: readonly CacheEntry[],
  find: FindContentKeys,
): Promise<readonly CacheEntry[]> {
  const wanted = entries.flatMap(({ result, keys }) =>
    [...new Set(keys.map(({ op }) => op))].map((op) => ({ result: result.id, op })),
  );
  const found = Map.groupBy(await find(wanted), ({ result }) => result);
  return entries.map((entry) => {
    const platforms = new Map(entry.keys.map(({ op, platform }) => [op, platform]));
    const more = (found.get(entry.result.id) ?? []).map(
      ({ key, op }): KnownKey => ({ key, op, kind: 'content', platform: platforms.get(op) ?? '' }),
    );
    return { ...entry, keys: distinct([...entry.keys, ...more]) };
  });
}

/** Definition keys first; a reader takes no more than so many. */
function distinct(keys: readonly KnownKey[]): readonly KnownKey[] {
  const all = [...new Map(keys.map((known) => [known.key, known])).values()];
  const first = (kind: string): number => (kind === 'definition' ? 0 : 1);
  return all.sort((a, b) => first(a.kind) - first(b.kind) || (a.key < b.key ? -1 : 1)).slice(0, MAX_KEYS);
}
