import { expandWords, noVariables } from '../expand/expand-word.ts';

/** `<<NAME`, `<<-NAME`, `<<"NAME"`: what follows the line up to NAME belongs to the instruction. */
export interface HeredocStart {
  readonly name: string;
  /** variables in the body are expanded: the name was not quoted */
  readonly expand: boolean;
  /** `<<-`: leading tabs are taken away */
  readonly stripTabs: boolean;
  readonly fileDescriptor: number;
}

export interface Heredoc extends HeredocStart {
  /** with the line ends of the file */
  readonly body: string;
}

const pattern = /^(\d*)<<(-?)([^<]*)$/;
const leadingBlanks = /^[\t\n\f\r ]+/;
/** A line of any length is looked through. */
const plain = { escape: '\\', skipUnset: true, limit: Number.POSITIVE_INFINITY } as const;
const raw = { ...plain, rawQuotes: true } as const;

/** @returns undefined for a word that opens no here-document */
export function parseHeredocStart(word: string): HeredocStart | undefined {
  const match = pattern.exec(word);
  const rest = match?.[3]?.replace(leadingBlanks, '');
  if (match === null || rest === undefined || rest === '') return undefined;
  const words = expandWords(rest, noVariables, plain);
  const name = words[0];
  if (name === undefined || words.length !== 1) return undefined;
  const quoted = expandWords(rest, noVariables, raw)[0] ?? name;
  return {
    name,
    expand: countQuotes(name) === countQuotes(quoted),
    stripTabs: match[2] === '-',
    fileDescriptor: Number(match[1]),
  };
}

/** The text of a here-document: of `<<-`, without the tabs that its lines begin with. */
export function chomp({ body, stripTabs }: Heredoc): string {
  return stripTabs ? body.replaceAll(/^\t+/gm, '') : body;
}

/** All here-documents that a logical line opens, in order. */
export function heredocStarts(line: string): readonly HeredocStart[] {
  let words: readonly string[];
  try {
    words = expandWords(line, noVariables, { ...raw, rawEscapes: true });
  } catch {
    // Unbalanced quotes are for the shell to judge, and open no here-document.
    return [];
  }
  return words.flatMap((word) => parseHeredocStart(word) ?? []);
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, '').length;
}
