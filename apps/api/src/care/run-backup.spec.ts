import { digestOf } from '#oci';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beyond } from './run-backup.ts';

async function* sorted(names: ReadonlySet<number>) {
  const digests = [...names].map((name) => digestOf(String(name))).toSorted();
  for (const digest of digests) yield { digest, sizeBytes: 1 };
}

describe('beyond', () => {
  it('is what one sorted stream has and the other has not', async () => {
    const names = fc.array(fc.nat(30)).map((all) => new Set(all));
    await fc.assert(
      fc.asyncProperty(names, names, async (all, known) => {
        const found: string[] = [];
        for await (const digest of beyond(sorted(all), sorted(known))) found.push(digest);
        const wanted = [...all.difference(known)].map((name) => digestOf(String(name))).toSorted();
        expect(found).toEqual(wanted);
      }),
    );
  });
});
