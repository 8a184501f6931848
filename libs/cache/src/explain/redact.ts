import { isSecretName, withoutCredentials } from '#graph';
import type { MissCause, MissChange } from '#protocol';
import type { KeyedVertex } from './keyed-vertex.ts';

const MASK = '***';
/** Shorter values are in every second word. */
const LEAST = 4;

/** Values of variables that are called as secrets are, the longest first. */
export function secretValues(vertices: readonly KeyedVertex[]): readonly string[] {
  const found = new Set<string>();
  for (const { preimage } of vertices) {
    const env = preimage?.op['env'];
    for (const entry of Array.isArray(env) ? env : []) {
      const [, name = '', value = ''] = typeof entry === 'string' ? (/^([^=]*)=(.*)$/s.exec(entry) ?? []) : [];
      if (value.length >= LEAST && isSecretName(name)) found.add(value);
    }
  }
  return [...found].sort((a, b) => b.length - a.length);
}

/** Each step that follows has its cause once more. */
const MAX_SHOWN = 1000;
const BEFORE_DIFFERENCE = 100;

/**
 * What may be shown of a cause: that a secret changed, not from what to what; of long texts what is about their difference.
 * @param mask takes out what must not be shown anywhere
 */
export function redacted(cause: MissCause, mask: (text: string) => string): MissCause {
  const open = (text: string): string => withoutCredentials(mask(text));
  const all = <C extends Extract<MissCause, { kind: 'changed' }>>(changed: C): C => ({
    ...changed,
    changes: changed.changes.map((change) => redactedChange(change, open)),
  });
  if (cause.kind === 'changed') return all(cause);
  return cause.kind === 'followed' && cause.cause.kind === 'changed' ? { ...cause, cause: all(cause.cause) } : cause;
}

function redactedChange(change: MissChange, mask: (text: string) => string): MissChange {
  const each = (text: string | null): string | null => (text === null ? null : mask(text));
  switch (change.kind) {
    case 'variable': {
      const hidden = (text: string | null): string | null => (text === null ? null : MASK);
      const show = isSecretName(change.name) ? hidden : each;
      return { ...change, ...cut(show(change.old), show(change.new)) };
    }
    case 'setting':
      return { ...change, ...cut(each(change.old), each(change.new)) };
    case 'instruction':
    case 'order':
      return { ...change, ...cut(mask(change.old), mask(change.new)) };
    case 'commit':
      return { ...change, repository: mask(change.repository) };
    case 'files':
      return { ...change, source: mask(change.source) };
    default:
      return change;
  }
}

function cut<T extends string | null>(old: T, now: T): { readonly old: T; readonly new: T };
function cut(old: string | null, now: string | null): Record<'old' | 'new', string | null> {
  if (Math.max(old?.length ?? 0, now?.length ?? 0) <= MAX_SHOWN) return { old, new: now };
  let same = 0;
  while (same < (old?.length ?? 0) && old?.[same] === now?.[same]) same++;
  const from = Math.max(0, same - BEFORE_DIFFERENCE);
  const part = (text: string | null): string | null => {
    if (text === null) return null;
    return `${from > 0 ? '…' : ''}${text.slice(from, from + MAX_SHOWN)}${text.length > from + MAX_SHOWN ? '…' : ''}`;
  };
  return { old: part(old), new: part(now) };
}

/** Takes values out of a text. */
export function without(values: readonly string[], text: string): string {
  return values.reduce((left, value) => left.replaceAll(value, MASK), text);
}
