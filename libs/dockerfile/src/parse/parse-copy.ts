import { invalid } from '../invalid.ts';
import { chomp, type Heredoc, parseHeredocStart } from '../lex/heredoc.ts';
import { parseJsonArray } from '../lex/json-array.ts';
import { splitBlank } from '../lex/space.ts';
import type { Copy, InlineSource } from './ast.ts';
import { parseFlags } from './flags.ts';
import type { ParseRequest } from './request.ts';

const common = ['chown', 'chmod'];
const rules = {
  copy: { values: [...common, 'from'], switches: ['link', 'parents'], lists: ['exclude'] },
  add: { values: [...common, 'checksum'], switches: ['link', 'keep-git-dir', 'unpack'], lists: ['exclude'] },
};

/** @throws KilnError DOCKERFILE_INVALID */
export function parseCopy(kind: 'copy' | 'add', { keyword, flags, rest, heredocs, located }: ParseRequest): Copy {
  const name = keyword.toUpperCase();
  const paths = parseJsonArray(rest) ?? (rest === '' ? [] : splitBlank(rest));
  const dest = paths.at(-1);
  if (dest === undefined || paths.length < 2) {
    throw invalid(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
      { hint: `write ${name} source destination` },
    );
  }
  const parsed = parseFlags(keyword, flags, rules[kind]);
  if (parseHeredocStart(dest) !== undefined) {
    throw invalid(`${name} cannot accept a heredoc as a destination`, { hint: `write ${name} ${dest} destination` });
  }
  const given = paths.slice(0, -1).map((word) => inlineSource(word, heredocs) ?? word);
  return {
    ...located,
    kind,
    sources: given.filter((source) => typeof source === 'string'),
    inline: given.filter((source) => typeof source !== 'string'),
    dest,
    from: parsed.get('from') || undefined,
    chown: parsed.get('chown') ?? '',
    chmod: parsed.get('chmod') ?? '',
    link: parsed.switch('link') ?? false,
    parents: parsed.switch('parents') ?? false,
    excludes: parsed.all('exclude'),
    checksum: parsed.get('checksum') ?? '',
    keepGitDir: parsed.switch('keep-git-dir'),
    unpack: parsed.switch('unpack'),
  };
}

function inlineSource(word: string, heredocs: readonly Heredoc[]): InlineSource | undefined {
  const start = parseHeredocStart(word);
  const found = start && heredocs.findLast(({ name }) => name === start.name);
  return found && { name: found.name, text: chomp(found), expand: found.expand };
}
