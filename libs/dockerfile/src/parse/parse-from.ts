import { invalid } from '../invalid.ts';
import { splitBlank } from '../lex/space.ts';
import type { From } from './ast.ts';
import { parseFlags } from './flags.ts';
import type { ParseRequest } from './request.ts';

const validName = /^[a-z][a-z0-9-_.]*$/;

/** @throws KilnError DOCKERFILE_INVALID */
export function parseFrom({ keyword, flags, rest, located }: ParseRequest): From {
  const [base = '', as, name, ...more] = rest === '' ? [] : splitBlank(rest);
  const named = as !== undefined && name !== undefined && more.length === 0 && as.toLowerCase() === 'as';
  if (base === '' || (as !== undefined && !named)) {
    throw invalid('FROM requires either one or three arguments', { hint: 'write FROM image, or FROM image AS name' });
  }
  if (named && !validName.test(name.toLowerCase())) {
    throw invalid(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
      { hint: 'name it with a letter first, then letters, digits, -, _ and .' },
    );
  }
  const platform = parseFlags(keyword, flags, { values: ['platform'] }).get('platform');
  return {
    ...located,
    kind: 'from',
    base,
    name: named ? name.toLowerCase() : undefined,
    as: named ? { keyword: as, name } : undefined,
    platform: platform || undefined,
  };
}
