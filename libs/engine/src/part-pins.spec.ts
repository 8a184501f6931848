import type { ResultId } from '#cache';
import { DefinitionBuilder, type Vertex } from '#graph';
import { digestOf, parsePlatform } from '#oci';
import { describe, expect, it } from 'vitest';
import { pinPart, type SourcePin } from './part-pins.ts';

describe('what a part is told of the world', () => {
  const platform = parsePlatform('linux/arm64');
  const label = { name: 'x', stage: '', line: 1, ignoreCache: false };
  const builder = new DefinitionBuilder();
  const source = (name: string) =>
    builder.add({ kind: 'http', url: `http://x/${name}`, digest: digestOf(name), name }, platform, [], label);
  const [below, above, local] = [
    source('below'),
    source('above'),
    builder.add({ kind: 'local', name: 'context' }, platform, [], label),
  ];
  const base = builder.add({ kind: 'image', reference: 'x/y', digest: digestOf('i') }, platform, [], label);
  const copy = { kind: 'copy', from: [{ input: 1, patterns: ['a'] }], dest: '/' } as const;
  const given = builder.add(copy, platform, [base, below], label);
  const step = builder.add(copy, platform, [given, above], label);
  const last = builder.add(copy, platform, [step, local], label);
  const part = {
    platform,
    definition: builder.finish(last),
    steps: new Set([step.vertex, last.vertex]),
    results: new Map([[given.vertex, digestOf('result') as ResultId]]),
  };

  it('is every source that its steps open, and all that keys are made of, also below what is given', async () => {
    const pinOf = async ({ op }: Vertex): Promise<SourcePin | undefined> =>
      op.kind === 'http' ? { kind: op.kind, digest: op.digest, sizeBytes: 1, mtime: 2 } : undefined;
    const { pins } = await pinPart(part, {
      context: async () => ({ tree: digestOf('tree'), dockerfile: 'Dockerfile' }),
      source: pinOf,
      selection: ({ digest }, input) => digestOf(`${digest} ${input}`),
    });
    expect(pins.sources).toEqual([[above.vertex, { kind: 'http', digest: digestOf('above'), sizeBytes: 1, mtime: 2 }]]);
    const selection = (vertex: typeof given) => [vertex.vertex, 1, digestOf(`${vertex.vertex} 1`)];
    expect(pins.selections).toEqual([given, step, last].map(selection));
    expect(pins.context?.tree).toBe(digestOf('tree'));
  });
});
