import { digestOf } from '#oci';
import { isKilnError } from '#std';
import { propertyRuns } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addPlatforms,
  type CacheEntry,
  decodeDocument,
  DocumentRecords,
  encodeDocument,
  layersFrom,
  makeDocument,
} from './cache-document.ts';
import { entry, graphs } from './entries.fixture.ts';

const throughBytes = (entries: readonly CacheEntry[]): DocumentRecords =>
  new DocumentRecords(decodeDocument(encodeDocument(makeDocument(entries))), 'elsewhere');

describe('a document', () => {
  it('gives back every record that was put into it', () => {
    fc.assert(
      fc.property(graphs, (entries) => {
        const records = throughBytes(entries);
        expect(records.size).toBe(entries.length);
        for (const { result, keys } of entries) {
          const shown = { ...result, producer: { ...result.producer, scope: 'elsewhere' } };
          for (const { key, kind, op } of keys) {
            expect(records.find(key)).toEqual([{ key, kind, result: shown, confirmedAtMs: result.finishedAtMs }]);
            expect(records.has(op)).toBe(true);
          }
        }
        expect(records.find(digestOf('another') as never)).toEqual([]);
      }),
      propertyRuns(100),
    );
  });

  it('grows with the steps, whatever they stand on', () => {
    const entries: CacheEntry[] = [];
    for (let at = 0; at < 500; at++) entries.push(entry(`step ${at}`, entries.at(-1)));
    const { layers } = makeDocument(entries);
    expect(layers).toHaveLength(500);
    expect(encodeDocument(makeDocument(entries)).byteLength).toBeLessThan(500 * 2000);
  });

  it('tells one stack of layers from another with the same on top', () => {
    const [a, b] = [entry('a'), entry('b')];
    const linked = {
      ...entry('linked'),
      result: { ...entry('linked').result, layers: [...a.result.layers, ...b.result.layers] },
    };
    const document = makeDocument([a, b, linked]);
    expect(document.layers.map(({ parent }) => parent)).toEqual([-1, -1, 0]);
    expect(layersFrom(document, document.results[2]?.layer ?? 0)).toEqual(linked.result.layers);
  });

  it('says nothing of who made the results where it is asked not to', () => {
    const other = entry('a');
    const made = { ...other, result: { ...other.result, producer: { buildId: 'x', builderId: 'y', scope: 'z' } } };
    const bytes = (each: CacheEntry) => encodeDocument(makeDocument([each], { producers: false }));
    expect(bytes(made)).toEqual(bytes(other));
  });

  const document = makeDocument([entry('a'), entry('b', entry('a'))]);
  it.each([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ v: 2, ...document })],
    ['a layer on itself', JSON.stringify({ v: 1, ...document, layers: [{ ...document.layers[0], parent: 0 }] })],
    [
      'a layer on a later one',
      JSON.stringify({ v: 1, ...document, layers: document.layers.map((l) => ({ ...l, parent: 1 })) }),
    ],
    ['a result without its layer', JSON.stringify({ v: 1, ...document, layers: [] })],
    ['no digest', JSON.stringify({ v: 1, ...document, results: [{ ...document.results[0], id: 'sha256:..' }] })],
    [
      'too many keys',
      JSON.stringify({
        v: 1,
        ...document,
        results: [{ ...document.results[0], keys: Array(17).fill(document.results[0]?.keys[0]) }],
      }),
    ],
  ])('with %s is refused', (_, text) => {
    expect(() => decodeDocument(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });

  it('from whomever it is, is read or refused', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          decodeDocument(Buffer.from(text));
        } catch (thrown) {
          expect(isKilnError(thrown, 'INVALID_ARGUMENT')).toBe(true);
        }
      }),
      propertyRuns(100),
    );
  });
});

describe('two documents', () => {
  const arm = { platform: 'linux/arm64' };
  it('become one that has both platforms, and of the same platform the newer', () => {
    const old = makeDocument([
      entry('old'),
      entry('arm', undefined, arm),
      entry('arm 2', entry('arm', undefined, arm), arm),
    ]);
    const own = makeDocument([entry('new')]);
    const both = decodeDocument(encodeDocument(addPlatforms(own, old)));
    const records = new DocumentRecords(both, '');
    const has = (name: string): number => records.find(digestOf(`definition ${name}`) as never).length;
    expect([has('new'), has('old'), has('arm'), has('arm 2')]).toEqual([1, 0, 1, 1]);
    expect(records.find(digestOf('definition arm 2') as never)[0]?.result.layers).toHaveLength(2);
    expect(both.layers).toHaveLength(3);
  });

  it('keep the keys of a result that is the same for both', () => {
    const same = entry('same');
    const keys = same.keys.map((key) => ({ ...key, key: digestOf(`arm ${key.kind}`) as never, ...arm }));
    const both = addPlatforms(makeDocument([same]), makeDocument([{ ...same, keys }]));
    expect(both.results).toHaveLength(1);
    expect(both.results[0]?.keys).toHaveLength(4);
    expect(addPlatforms(both, both)).toEqual(both);
  });
});
