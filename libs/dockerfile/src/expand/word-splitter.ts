import { invalid } from '../invalid.ts';
import { splitSpace } from '../lex/space.ts';

/** Collects one text, both whole and split at its blanks. */
export class WordSplitter {
  readonly #limit: number;
  #value = '';
  #word = '';
  readonly #words: string[] = [];

  /** @param limit characters */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Text whose blanks separate nothing. */
  add(text: string): void {
    this.#grow(text);
    this.#word += text;
  }

  /** Text whose blanks separate words. */
  addSplit(text: string): void {
    this.#grow(text);
    const [first = '', ...others] = splitSpace(text);
    this.#word += first;
    for (const word of others) {
      this.#endWord();
      this.#word = word;
    }
  }

  finish(): { value: string; words: readonly string[] } {
    this.#endWord();
    return { value: this.#value, words: this.#words };
  }

  #endWord(): void {
    if (this.#word !== '') this.#words.push(this.#word);
    this.#word = '';
  }

  #grow(text: string): void {
    this.#value += text;
    if (this.#value.length > this.#limit)
      throw invalid(`the value is longer than ${this.#limit} characters`, { hint: 'put it in a file, and COPY that' });
  }
}
