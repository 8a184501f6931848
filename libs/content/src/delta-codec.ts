import { type Bytes, collect, KilnError } from '#std';
import { entryJson } from './entry-json.ts';
import { decodeLines, encodeLines } from './json-lines.ts';
import { comparePaths } from './path.ts';
import type { DeltaEntry } from './tree.ts';
import { deltaEntrySchema } from './tree-schema.ts';

const format = { header: '{"kind":"delta","version":1}', what: "a layer's delta", schema: deltaEntrySchema };

function checkOrder(delta: readonly DeltaEntry[]): void {
  for (let index = 1; index < delta.length; index++) {
    const before = delta[index - 1]?.path ?? '';
    const path = delta[index]?.path ?? '';
    if (comparePaths(before, path) >= 0) {
      throw new KilnError('INVALID_ARGUMENT', `${format.what}: ${JSON.stringify(path)} is out of order or twice there`);
    }
  }
}

/**
 * A delta in canonical bytes: a header line `{"kind":"delta","version":1}`, then an entry a line as canonical JSON, in
 * order of paths. Equal deltas are equal bytes.
 * @throws KilnError INVALID_ARGUMENT when a path is there twice
 */
export function encodeDelta(delta: readonly DeltaEntry[]): Buffer {
  const ordered = [...delta].sort((a, b) => comparePaths(a.path, b.path));
  checkOrder(ordered);
  return encodeLines(format.header, ordered.map(entryJson));
}

/** @throws KilnError INVALID_ARGUMENT for anything that {@link encodeDelta} does not write */
export function decodeDelta(bytes: Uint8Array): readonly DeltaEntry[] {
  const delta = decodeLines<DeltaEntry>(bytes, format);
  checkOrder(delta);
  return delta;
}

/** @throws KilnError INVALID_ARGUMENT as {@link decodeDelta}, LIMIT_EXCEEDED */
export async function readDelta(source: Bytes, limitBytes: number): Promise<readonly DeltaEntry[]> {
  return decodeDelta(await collect(source, limitBytes));
}
