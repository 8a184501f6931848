import { invalid } from '../invalid.ts';
import { splitCommand } from '../lex/split-command.ts';
import type { Single } from './ast.ts';
import { parseFlags } from './flags.ts';
import type { ParseRequest } from './request.ts';

/** The trigger is checked here, and kept as text: it runs in the build that stands on this image. */
export function parseOnbuild(
  { keyword, flags, rest, escape, located }: ParseRequest,
  check: (trigger: string) => void,
): Single {
  if (rest === '') throw invalid('ONBUILD requires at least one argument');
  parseFlags(keyword, flags);
  const trigger = splitCommand(rest, escape).keyword.toUpperCase();
  if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
  }
  check(rest);
  return { ...located, kind: 'onbuild', argument: located.text.replace(/^\s*ONBUILD\s*/i, '') };
}
