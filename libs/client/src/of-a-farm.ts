import { VERSION_HEADER } from '#std';
import type { Answer } from './api-connection.ts';

/** What a proxy before the farm may say for itself: that it wants to know who comes, or that the farm is away. */
export const guards: ReadonlySet<number> = new Set([401, 403, 407, 413, 429, 502, 503, 504]);

/** A farm says its version with every answer. */
export const isOfFarm = (headers: Answer['headers']): boolean => headers[VERSION_HEADER] !== undefined;

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
