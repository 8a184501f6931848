import { posix } from 'node:path';
import { toText } from '../hcl/convert.ts';
import { checked } from '../hcl/size.ts';
import { elementsOf, type Value } from '../hcl/value.ts';
import { bounded, define, type Functions } from './define.ts';
import { formatText } from './format-text.ts';

/** Characters as people count them. */
const graphemes = (text: string): string[] =>
  [...new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text)].map(({ segment }) => segment);

export const texts: Functions = {
  basename: define(1, 1, (args) => (args.text(0) === '' ? '.' : posix.basename(args.text(0)) || '/')),
  dirname: define(1, 1, (args) => posix.normalize(posix.dirname(args.text(0)))),
  chomp: define(1, 1, (args) => withoutBreaks(args.text(0))),
  format: define(1, Infinity, (args) => formatText(args.text(0), args.all.slice(1))),
  formatlist: define(1, Infinity, (args) => formatList(args.text(0), args.all.slice(1))),
  indent: define(2, 2, (args) => {
    bounded(args.integer(0));
    checked(args.text(1).length + (args.text(1).split('\n').length - 1) * args.integer(0));
    return args.text(1).replaceAll('\n', `\n${' '.repeat(Math.max(0, args.integer(0)))}`);
  }),
  join: define(2, Infinity, (args) => {
    const parts = args.all
      .slice(1)
      .flatMap((_, index) => args.list(index + 1))
      .map(toText);
    checked(parts.reduce((sum, part) => sum + part.length + args.text(0).length, 0));
    return parts.join(args.text(0));
  }),
  lower: define(1, 1, (args) => args.text(0).toLowerCase()),
  upper: define(1, 1, (args) => args.text(0).toUpperCase()),
  title: define(1, 1, (args) => args.text(0).replaceAll(/(^|[\s\p{P}])(\p{L})/gu, (word) => word.toUpperCase())),
  replace: define(3, 3, (args) => {
    const [text, from, to] = [args.text(0), args.text(1), args.text(2)];
    const parts = from === '' ? text.length + 1 : text.split(from).length;
    checked(text.length + parts * to.length);
    return text.replaceAll(from, () => to);
  }),
  reverse: define(1, 1, (args) => graphemes(args.text(0)).reverse().join('')),
  sanitize: define(1, 1, (args) => args.text(0).replaceAll(/[^a-zA-Z0-9_-]/gu, '_')),
  split: define(2, 2, (args) => (args.text(0) === '' ? graphemes(args.text(1)) : args.text(1).split(args.text(0)))),
  strlen: define(1, 1, (args) => graphemes(args.text(0)).length),
  byteslen: define(1, 1, (args) => Buffer.byteLength(args.text(0))),
  bytesslice: define(3, 3, (args) => {
    const [from, length] = [args.integer(1), args.integer(2)];
    return Buffer.from(args.text(0))
      .subarray(from, from + length)
      .toString();
  }),
  substr: define(3, 3, (args) => {
    const all = graphemes(args.text(0));
    const from = args.integer(1) < 0 ? all.length + args.integer(1) : args.integer(1);
    return all.slice(Math.max(0, from), args.integer(2) < 0 ? undefined : from + args.integer(2)).join('');
  }),
  trim: define(2, 2, (args) => {
    const cut = new Set(args.text(1));
    const all = [...args.text(0)];
    const kept = (character: string): boolean => !cut.has(character);
    const first = all.findIndex(kept);
    return first < 0 ? '' : all.slice(first, all.findLastIndex(kept) + 1).join('');
  }),
  trimprefix: define(2, 2, (args) => {
    const [text, prefix] = [args.text(0), args.text(1)];
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  }),
  trimsuffix: define(2, 2, (args) => {
    const [text, suffix] = [args.text(0), args.text(1)];
    return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text;
  }),
  trimspace: define(1, 1, (args) => args.text(0).trim()),
};

function withoutBreaks(text: string): string {
  let end = text.length;
  while (text[end - 1] === '\n' || text[end - 1] === '\r') end--;
  return text.slice(0, end);
}

function formatList(format: string, args: readonly Value[]): Value {
  const lists = args.map((arg) => elementsOf(arg));
  const lengths = new Set(lists.flatMap((list) => list?.length ?? []));
  if (lengths.size > 1) throw new TypeError('the lists have different lengths');
  const [length = 1] = lengths;
  let size = 0;
  return Array.from({ length }, (_, at) => {
    const text = formatText(
      format,
      args.map((arg, index) => lists[index]?.[at] ?? arg),
    );
    size = checked(size + text.length + args.length);
    return text;
  });
}
