import type { z } from 'zod';
import { usageError } from '../usage.ts';

/** What flags ask the API for. @throws KilnError INVALID_ARGUMENT with the flag that is wrong */
export function parseQuery<T>(schema: z.ZodType<T>, flags: object, command: string): T {
  const query = schema.safeParse(flags);
  if (query.success) return query.data;
  const [issue] = query.error.issues;
  throw usageError(`--${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, `kiln ${command} --help tells more`);
}
