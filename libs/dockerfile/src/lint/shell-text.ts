/** One word of a command: quotes and escapes are gone. */
export interface ShellWord {
  readonly text: string;
  /** all of it, or a part, stood in quotes */
  readonly quoted: boolean;
}

/** One simple command of a shell text. */
export interface ShellCommand {
  readonly words: readonly ShellWord[];
  /** its input is another command's output */
  readonly piped: boolean;
}

/** A text's characters, each with whether it is quoted or escaped; comments are left out. */
function* characters(text: string, comments: boolean): Generator<readonly [char: string, quoted: boolean]> {
  let quote = '';
  let start = true;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote !== '') {
      if (char === quote) {
        quote = '';
        yield ['', true];
      } else if (char === '\\' && quote === '"') {
        at += 1;
        yield [text.charAt(at), true];
      } else yield [char, true];
      continue;
    }
    if (char === '\\') {
      at += 1;
      yield [text.charAt(at), true];
    } else if ((char === '"' || char === "'") && text.includes(char, at + 1)) quote = char;
    else if (char === '#' && start && comments) {
      const end = text.indexOf('\n', at);
      at = (end === -1 ? text.length : end) - 1;
    } else yield [char, false];
    start = /[\s;&|()]/.test(char);
  }
}

/** The text with blanks in the place of all that is quoted; with `comments`, shell comments are taken out too. */
export function unquoted(text: string, comments: boolean): string {
  return [...characters(text, comments)].map(([char, quoted]) => (quoted ? ' ' : char)).join('');
}

/**
 * The simple commands of a shell text, as far as they can be told without running it: split at `;`, `&&`, `||`, `|`, `&`,
 * parentheses and line ends.
 */
export function shellCommands(text: string): readonly ShellCommand[] {
  const commands: ShellCommand[] = [];
  let words: ShellWord[] = [];
  let word: { text: string; quoted: boolean } | undefined;
  let piped = false;
  let previous = '';
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (const [char, quoted] of characters(text, true)) {
    // `2>&1` and `&>file` are no ends.
    const ends = !quoted && (/[;|()\n`]/.test(char) || (char === '&' && previous !== '>' && previous !== '<'));
    if (ends) {
      endWord();
      if (words.length > 0) commands.push({ words, piped });
      if (words.length > 0 || char !== '|') piped = char === '|';
      else if (previous === '|') piped = false;
      words = [];
    } else if (!quoted && /\s/.test(char)) endWord();
    else {
      word ??= { text: '', quoted: false };
      word.text += char;
      word.quoted ||= quoted;
    }
    previous = quoted ? '' : char;
  }
  endWord();
  if (words.length > 0) commands.push({ words, piped });
  return commands;
}

const prefixes = new Set(['!', '{', 'if', 'then', 'elif', 'else', 'while', 'until', 'do', 'time', 'exec', 'command']);
const wrappers = new Set(['sudo', 'env', 'nice', 'nohup']);

/** A command's words from its program on: without variables set for it, keywords and what it is called through. */
export function argumentsOf({ words }: ShellCommand): readonly ShellWord[] {
  let at = 0;
  for (let wrapped = false; at < words.length; at++) {
    const { text, quoted } = words[at] ?? { text: '', quoted: true };
    if (/^\w+=/.test(text) || (!quoted && prefixes.has(text)) || (wrapped && text.startsWith('-'))) continue;
    if (!wrappers.has(text)) break;
    wrapped = true;
  }
  return words.slice(at);
}
