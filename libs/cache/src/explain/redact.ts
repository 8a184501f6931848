import { isSecretName } from '#graph';
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

/**
 * What may be shown of a cause: that a secret changed, not from what to what.
 * @param mask takes out what must not be shown anywhere
 */
export function redacted(cause: MissCause, mask: (text: string) => string): MissCause {
  if (cause.kind === 'changed')
    return { ...cause, changes: cause.changes.map((change) => redactedChange(change, mask)) };
  if (cause.kind !== 'followed' || cause.cause.kind !== 'changed') return cause;
  return {
    ...cause,
    cause: { ...cause.cause, changes: cause.cause.changes.map((change) => redactedChange(change, mask)) },
  };
}

function redactedChange(change: MissChange, mask: (text: string) => string): MissChange {
  const each = (text: string | null): string | null => (text === null ? null : mask(text));
  switch (change.kind) {
    case 'variable': {
      const hidden = (text: string | null): string | null => (text === null ? null : MASK);
      const show = isSecretName(change.name) ? hidden : each;
      return { ...change, old: show(change.old), new: show(change.new) };
    }
    case 'setting':
      return { ...change, old: each(change.old), new: each(change.new) };
    case 'instruction':
      return { ...change, old: mask(change.old), new: mask(change.new) };
    case 'order':
      return { ...change, old: mask(change.old), new: mask(change.new) };
    default:
      return change;
  }
}

/** Takes values out of a text. */
export function without(values: readonly string[], text: string): string {
  return values.reduce((left, value) => left.replaceAll(value, MASK), text);
}
