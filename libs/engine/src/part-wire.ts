import type { ResultId } from '#cache';
import { decodeDefinition, encodeDefinition } from '#graph';
import { DigestSchema, formatPlatform, parsePlatform } from '#oci';
import { canonicalJson, KilnError } from '#std';
import { z } from 'zod';
import { PartPins, type PinnedPart } from './part-pins.ts';

const Wire = z.strictObject({
  platform: z.string(),
  definition: z.unknown(),
  steps: z.array(DigestSchema).min(1),
  pins: PartPins,
  results: z.array(z.tuple([DigestSchema, DigestSchema.transform((digest) => digest as ResultId)])),
});

/** A part as the farm keeps it; the same for the same part. */
export function encodePart({ platform, definition, steps, results, pins }: PinnedPart): string {
  return canonicalJson({
    platform: formatPlatform(platform),
    definition: encodeDefinition(definition),
    steps: [...steps],
    results: [...results].map(([vertex, id]) => [vertex, id]),
    pins: z.json().parse(pins),
  });
}

/** @throws KilnError INVALID_ARGUMENT */
export function decodePart(text: string): PinnedPart {
  const parsed = Wire.safeParse(JSON.parse(text));
  if (!parsed.success) throw new KilnError('INVALID_ARGUMENT', `not a part of a build: ${parsed.error.message}`);
  const { platform, definition, steps, results, pins } = parsed.data;
  return {
    platform: parsePlatform(platform),
    definition: decodeDefinition(definition),
    steps: new Set(steps),
    results: new Map(results),
    pins,
  };
}
