import { csvFields, isKilnError, KilnError } from '#std';
import { invalid } from '../invalid.ts';
import type { WrittenMount } from './ast.ts';

/**
 * A --mount as far as it can be read before variables are known: where it takes files from. The last `from` counts.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function parseMount(text: string): WrittenMount {
  const fields = fieldsOf(text);
  let from: string | undefined;
  for (const field of fields) {
    const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(field) ?? [];
    if (key.toLowerCase() !== 'from') continue;
    const dollar = value.indexOf('$');
    if (dollar !== -1 && dollar !== value.length - 1) {
      throw invalid("'from' doesn't support variable expansion, define alias stage instead", {
        hint: 'FROM takes ARGs that are declared before the first FROM: give such a stage a name, and mount from that',
      });
    }
    from = value;
  }
  return { fields, from: from || undefined };
}

function fieldsOf(text: string): readonly string[] {
  try {
    return csvFields(text);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw new KilnError('DOCKERFILE_INVALID', `failed to parse csv mounts: ${thrown.message}`, { hint: thrown.hint });
  }
}
