import { KilnError, messageOf } from '#std';
import type { z } from 'zod';

/** A query parameter that holds JSON, as docker's clients send maps and lists. @throws KilnError INVALID_ARGUMENT naming it */
export function parseJson<T>(field: string, schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `${field} is no JSON: ${messageOf(cause)}`, { field, cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new KilnError('INVALID_ARGUMENT', `${field}: ${parsed.error.issues[0]?.message ?? 'not what it should be'}`, {
    field,
  });
}
