import { isKilnError, messageOf } from '#std';

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'wrong';
  readonly message: string;
  /** what to do about it */
  readonly next?: string;
  /** it does not answer, so that nothing more is known of it */
  readonly unreachable?: true;
}

export const ok = (name: string, message: string): Check => ({ name, state: 'ok', message });
export const warning = (name: string, message: string, next: string): Check => ({
  name,
  state: 'warning',
  message,
  next,
});
export const wrong = (name: string, message: string, next: string): Check => ({ name, state: 'wrong', message, next });

/** Whether what was asked is away, rather than wrong. */
export const isAway = (thrown: unknown): boolean =>
  isKilnError(thrown, 'UNAVAILABLE', 'UPSTREAM_UNAVAILABLE', 'FARM_UNREACHABLE');

/** What a look that failed comes to. */
export function failed(name: string, thrown: unknown, next: string): Check {
  const hint = (isKilnError(thrown) ? thrown.hint : undefined) ?? next;
  return { ...wrong(name, messageOf(thrown), hint), ...(isAway(thrown) ? { unreachable: true as const } : {}) };
}

/** Several words as people write them: the first ones, and how many there are more. */
export function some(words: readonly string[], shown = 5): string {
  const more = words.length - shown;
  return `${words.slice(0, shown).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
