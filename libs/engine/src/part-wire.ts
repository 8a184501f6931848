import type { ResultId } from '#cache';
import { decodeDefinition, encodeDefinition } from '#graph';
import { DigestSchema, formatPlatform, parsePlatform } from '#oci';
import type { Part } from '#solver';
import { canonicalJson, KilnError } from '#std';
import { z } from 'zod';

const Wire = z.strictObject({
  platform: z.string(),
  definition: z.unknown(),
  steps: z.array(DigestSchema).min(1),
  results: z.array(z.tuple([DigestSchema, DigestSchema.transform((digest) => digest as ResultId)])),
});

/** A part as the farm keeps it; the same for the same part. */
export function encodePart({ platform, definition, steps, results }: Part): string {
  return canonicalJson({
    platform: formatPlatform(platform),
    definition: encodeDefinition(definition),
    steps: [...steps],
    results: [...results].map(([vertex, id]) => [vertex, id]),
  });
}

/** @throws KilnError INVALID_ARGUMENT */
export function decodePart(text: string): Part {
  const parsed = Wire.safeParse(JSON.parse(text));
  if (!parsed.success) throw new KilnError('INVALID_ARGUMENT', `not a part of a build: ${parsed.error.message}`);
  const { platform, definition, steps, results } = parsed.data;
  return {
    platform: parsePlatform(platform),
    definition: decodeDefinition(definition),
    steps: new Set(steps),
    results: new Map(results),
  };
}
