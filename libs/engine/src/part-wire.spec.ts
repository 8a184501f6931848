import type { ResultId } from '#cache';
import { DefinitionBuilder } from '#graph';
import { digestOf, parsePlatform } from '#oci';
import { describe, expect, it } from 'vitest';
import type { PartPins } from './part-pins.ts';
import { decodePart, encodePart } from './part-wire.ts';

describe('a part as the farm keeps it', () => {
  const platform = parsePlatform('linux/arm/v7');
  const label = { name: 'x', stage: '', line: 1, ignoreCache: false };
  const builder = new DefinitionBuilder();
  const scratch = builder.add({ kind: 'scratch' }, platform, [], label);
  const made = builder.add({ kind: 'mkdir', path: '/a', mode: 493 }, platform, [scratch], label);
  const part = {
    platform,
    definition: builder.finish(made),
    steps: new Set([made.vertex]),
    results: new Map([[scratch.vertex, digestOf('result') as ResultId]]),
    pins: {
      context: { tree: digestOf('tree'), dockerfile: 'Dockerfile' },
      sources: [[digestOf('vertex'), { kind: 'http' as const, digest: digestOf('file'), sizeBytes: 1, mtime: 2 }]],
      selections: [[made.vertex, 1, digestOf('selection')]],
    } satisfies PartPins,
  };

  it('is the same text for the same part, and comes out as it went in', () => {
    expect(encodePart({ ...part })).toBe(encodePart(part));
    expect(decodePart(encodePart(part))).toEqual(part);
  });

  it('is nothing else', () => {
    expect(() => decodePart('{"steps":[]}')).toThrow(/not a part of a build/);
  });
});
