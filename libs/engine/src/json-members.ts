import { isUtf8 } from 'node:buffer';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { KilnError } from '#std';

const MAX_DEPTH = 256;
/** The event loop is for heartbeats too: it gets a turn this often. */
const TURN_BYTES = 1024 * 1024;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const SPACE = 0x20;
const spaces: ReadonlySet<number | undefined> = new Set([SPACE, 0x09, 0x0a, 0x0d]);
/** What may stand in numbers, `true`, `false` and `null`. */
const scalarBytes: ReadonlySet<number | undefined> = new Set(Buffer.from('+-.0123456789Eaeflnrstu'));
const scalar = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
const hexDigits = /^[0-9A-Fa-f]{4}$/;
const escapes: ReadonlySet<number | undefined> = new Set(Buffer.from('"\\/bfnrt'));
const U = 0x75;

/**
 * Members of the object that a text is, each as its bytes in it: of several of one name the last. All of the text is checked,
 * and no value of it is made: values may have many times the size of their text.
 * @throws KilnError INVALID_ARGUMENT for what is no object of JSON (RFC 8259), or nests deeper than 256 values
 */
export async function jsonMembers(text: Buffer, wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, Buffer>> {
  if (!isUtf8(text)) throw wrong('it is not UTF-8');
  const reader = new Reader(text, wanted);
  for (let next = TURN_BYTES; reader.readTo(next); next += TURN_BYTES) await yieldToOthers();
  return reader.found;
}

class Reader {
  readonly found = new Map<string, Buffer>();
  readonly #text: Buffer;
  readonly #wanted: ReadonlySet<string>;
  /** the braces and brackets that are open */
  readonly #open: number[] = [];
  #at = 0;
  /** of the outermost object: the member that is being read, and where its value begins */
  #member = '';
  #start = 0;

  constructor(text: Buffer, wanted: ReadonlySet<string>) {
    this.#text = text;
    this.#wanted = wanted;
  }

  /** Whole values until one ends at or behind `end`. @returns whether there are more */
  readTo(end: number): boolean {
    if (this.#at === 0) {
      this.#skip();
      if (this.#text[this.#at] !== OPEN_BRACE) throw wrong('it is no object');
    }
    while (this.#value()) if (this.#at >= end) return true;
    return false;
  }

  /** Up to where the next value begins. @returns false when the text has ended */
  #value(): boolean {
    if (this.#open.length === 1) this.#start = this.#at;
    const first = this.#text[this.#at];
    let empty = false;
    if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      if (this.#open.length === MAX_DEPTH) throw wrong(`it nests deeper than ${MAX_DEPTH} values`);
      this.#open.push(first);
      this.#at += 1;
      this.#skip();
      empty = this.#text[this.#at] === closing(first);
      if (!empty) {
        if (first === OPEN_BRACE) this.#key();
        return true;
      }
    } else if (first === QUOTE) this.#string();
    else this.#scalar();
    return this.#ended(empty);
  }

  /** Behind a value, or in an empty container. */
  #ended(empty: boolean): boolean {
    for (let inEmpty = empty; ; inEmpty = false) {
      if (this.#open.length === 1 && !inEmpty && this.#wanted.has(this.#member))
        this.found.set(this.#member, this.#text.subarray(this.#start, this.#at));
      this.#skip();
      const inside = this.#open.at(-1);
      if (inside === undefined) {
        if (this.#at < this.#text.length) throw this.#unexpected();
        return false;
      }
      const next = this.#text[this.#at];
      if (next === COMMA) {
        this.#at += 1;
        this.#skip();
        if (inside === OPEN_BRACE) this.#key();
        return true;
      }
      if (next !== closing(inside)) throw this.#unexpected();
      this.#at += 1;
      this.#open.pop();
    }
  }

  #key(): void {
    const start = this.#at;
    if (this.#text[start] !== QUOTE) throw this.#unexpected();
    this.#string();
    if (this.#open.length === 1) this.#member = String(JSON.parse(this.#text.toString('utf8', start, this.#at)));
    this.#skip();
    if (this.#text[this.#at] !== COLON) throw this.#unexpected();
    this.#at += 1;
    this.#skip();
  }

  #string(): void {
    const text = this.#text;
    let at = this.#at + 1;
    for (let byte = text[at]; byte !== QUOTE; byte = text[at]) {
      if (byte === undefined || byte < SPACE) throw this.#unexpected(at);
      at += 1;
      if (byte !== BACKSLASH) continue;
      if (escapes.has(text[at])) at += 1;
      else if (text[at] === U && hexDigits.test(text.toString('latin1', at + 1, at + 5))) at += 5;
      else throw this.#unexpected(at);
    }
    this.#at = at + 1;
  }

  #scalar(): void {
    const start = this.#at;
    while (scalarBytes.has(this.#text[this.#at])) this.#at += 1;
    if (!scalar.test(this.#text.toString('latin1', start, this.#at))) throw this.#unexpected(start);
  }

  #skip(): void {
    while (spaces.has(this.#text[this.#at])) this.#at += 1;
  }

  #unexpected(at = this.#at): KilnError {
    return wrong(at < this.#text.length ? `byte ${at} is not as it is to be` : 'it ends too early');
  }
}

const closing = (opening: number): number => (opening === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET);

const wrong = (why: string): KilnError => new KilnError('INVALID_ARGUMENT', `no JSON that can be read: ${why}`);
