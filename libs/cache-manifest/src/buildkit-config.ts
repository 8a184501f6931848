import { DigestSchema } from '#oci';
import { KilnError, messageOf } from '#std';
import { z } from 'zod';
import { type CacheDocument, type DocumentResult } from './cache-document.ts';

/** https://github.com/moby/buildkit/blob/master/cache/remotecache/v1/types/doc.go */
export const BUILDKIT_CONFIG_MEDIA_TYPE = 'application/vnd.buildkit.cacheconfig.v0';
/** BuildKit reads no config and no manifest that is larger. */
export const BUILDKIT_LIMIT_BYTES = 1024 * 1024;

const link = z.int();
/** Go writes an absent slice as null, and leaves a zero out. */
const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);
const Config = z.object({
  layers: list(z.object({ blob: DigestSchema, parent: link.default(0) })),
  records: list(
    z.object({
      /** not always one of sha256 */
      digest: z.string().default(''),
      layers: list(z.object({ layer: link.default(0), createdAt: z.string().optional() })),
      chains: list(z.object({ layers: list(link) })),
      inputs: list(list(z.object({ selector: z.string().optional(), link: link.default(0) }))),
    }),
  ),
});
export type BuildKitConfig = z.infer<typeof Config>;
type BuildKitRecord = BuildKitConfig['records'][number];

/**
 * A cache config by the rules of BuildKit's own reader: every index within bounds, no loops, no input without a link.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseBuildKitConfig(bytes: Uint8Array): BuildKitConfig {
  const broken = (why: string, cause?: unknown): KilnError =>
    new KilnError('INVALID_ARGUMENT', `not a cache config that can be read: ${why}`, { cause });
  if (bytes.byteLength > BUILDKIT_LIMIT_BYTES) throw broken(`longer than ${BUILDKIT_LIMIT_BYTES} bytes`);
  let config: BuildKitConfig;
  try {
    config = Config.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw broken(cause instanceof z.ZodError ? 'it is malformed' : messageOf(cause), cause);
  }
  const { layers, records } = config;
  const isLayer = (at: number): boolean => at >= 0 && at < layers.length;
  for (const { parent } of layers) if (parent !== -1 && !isLayer(parent)) throw broken(`there is no layer ${parent}`);
  if (hasLoop(layers.map(({ parent }) => (parent === -1 ? [] : [parent])))) throw broken('its layers form a loop');
  const inputs = records.map((record) => record.inputs.flat().map((input) => input.link));
  for (const [at, record] of records.entries()) {
    const used = [...record.layers.map(({ layer }) => layer), ...record.chains.flatMap((chain) => chain.layers)];
    if (!used.every(isLayer)) throw broken(`record ${at} names a layer that is not there`);
    if (record.inputs.some((links) => links.length === 0)) throw broken(`record ${at} has an input without a link`);
    if (inputs[at]?.some((to) => to < 0 || to >= records.length) === true)
      throw broken(`record ${at} stands on one that is not there`);
  }
  if (hasLoop(inputs)) throw broken('its records form a loop');
  return config;
}

/** Whether some node of a graph can be reached from itself. Takes away what nothing is left below. */
function hasLoop(below: readonly (readonly number[])[]): boolean {
  const above = below.map((): number[] => []);
  for (const [at, nodes] of below.entries()) for (const node of nodes) above[node]?.push(at);
  const open = below.map((nodes) => nodes.length);
  const free = open.flatMap((count, at) => (count === 0 ? [at] : []));
  for (let next = 0; next < free.length; next++) {
    for (const node of above[free[next] ?? 0] ?? []) {
      open[node] = (open[node] ?? 0) - 1;
      if (open[node] === 0) free.push(node);
    }
  }
  return free.length < below.length;
}

/**
 * A document as BuildKit writes its own: a record for each key, linked as the results stand on each other. Its keys are
 * Kiln's, so that BuildKit reads it, and finds none of its own steps. Records beyond what BuildKit reads are left out.
 */
export function buildKitConfig({ layers, results }: CacheDocument): Buffer {
  const head = JSON.stringify({ layers: layers.map(({ blob, parent }) => ({ blob: blob.digest, parent })) });
  return closed(
    head,
    recordsOf(results, (layer) => ({ layers: [layer] }), BUILDKIT_LIMIT_BYTES - head.length - 16),
  );
}

const closed = (head: string, records: readonly string[]): Buffer =>
  Buffer.from(`${head.slice(0, -1)},"records":[${records.join(',')}]}`);

type Placed = Pick<BuildKitRecord, 'layers'> | { readonly chains: readonly { readonly layers: readonly number[] }[] };
/** How a result's layers are told: by the topmost of a chain, or each. */
export type PlaceLayers = (
  top: number,
) => { readonly layers: readonly number[] } | { readonly chain: readonly number[] } | undefined;

export function recordsOf(results: readonly DocumentResult[], place: PlaceLayers, limitBytes: number): string[] {
  const records: string[] = [];
  const places = new Map<string, number>();
  let bytes = 0;
  for (const result of results) {
    const inputs = result.parents.flatMap((id) => places.get(id) ?? []).map((at) => [{ link: at }]);
    const placed = placedLayers(result, place);
    if (placed === undefined) continue;
    for (const { key, kind } of result.keys) {
      const linked = kind === 'definition' && inputs.length > 0 ? { inputs } : {};
      const text = JSON.stringify({ digest: key, ...placed, ...linked });
      bytes += text.length + 1;
      if (bytes > limitBytes) return records;
      if (kind === 'definition' && !places.has(result.id)) places.set(result.id, records.length);
      records.push(text);
    }
  }
  return records;
}

function placedLayers({ layer, finishedAtMs }: DocumentResult, place: PlaceLayers): Placed | undefined {
  const placed = place(layer);
  const createdAt = new Date(finishedAtMs).toISOString();
  if (placed === undefined) return undefined;
  if ('chain' in placed) return { chains: [{ layers: placed.chain }] };
  return { layers: placed.layers.map((at) => ({ layer: at, createdAt })) };
}
