import { invalid } from '../invalid.ts';
import { splitCommand } from '../lex/split-command.ts';
import type { Single } from './ast.ts';
import { parseFlags } from './flags.ts';
import type { ParseRequest } from './request.ts';

/** The trigger is checked here, and kept as text: it runs in the build that stands on this image. */
export function parseOnbuild(
  { keyword, flags, rest, escape, heredocs, source, located }: ParseRequest,
  check: (trigger: string) => void,
): Single {
  if (rest === '') throw invalid('ONBUILD requires at least one argument', { hint: 'such as ONBUILD COPY . /app' });
  parseFlags(keyword, flags);
  const trigger = splitCommand(rest, escape).keyword.toUpperCase();
  if (trigger === 'ONBUILD')
    throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", { hint: 'write ONBUILD once' });
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`, {
      hint: 'put it in the Dockerfile that stands on the image',
    });
  }
  // The trigger is one text in the image's config: its here-documents go with it.
  const bodies = heredocs.map(({ name, body }) => `\n${body}${name}`).join('');
  check(rest + bodies);
  const argument = source.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, '') + bodies;
  return { ...located, kind: 'onbuild', argument };
}
