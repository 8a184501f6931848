/** Shorter ones are in every second line of a log. */
const LEAST = 6;
/** A longer text is looked for in pieces of this length, so that little output is held back. */
const PIECE = 4_096;
/** How base64(1) breaks lines. */
const BASE64_LINE = 76;
const MASK = '***';

/** What a build's output must not show: the values of its secrets, whole or line by line, plain or in base64. */
export class SecretMask {
  /** by their first characters, the longest first */
  readonly #needles = new Map<string, readonly string[]>();
  /** beginnings of needles that are shorter than the keys above */
  readonly #beginnings = new Set<string>();

  constructor(secrets: Iterable<Uint8Array>) {
    const all = new Set([...secrets].flatMap(needlesOf));
    for (const needle of all) {
      const head = needle.slice(0, LEAST);
      this.#needles.set(head, [...(this.#needles.get(head) ?? []), needle]);
      for (let length = 1; length < LEAST; length++) this.#beginnings.add(needle.slice(0, length));
    }
    for (const [head, needles] of this.#needles) {
      this.#needles.set(
        head,
        needles.toSorted((a, b) => b.length - a.length),
      );
    }
  }

  get empty(): boolean {
    return this.#needles.size === 0;
  }

  /** For a text that is whole. */
  text(text: string): string {
    return this.apply(text, true).shown;
  }

  /** For one stream of output. */
  stream(): MaskedStream {
    return new MaskedStream(this);
  }

  /**
   * Masks what is whole in a text.
   * @returns what can be shown, and the rest, which may be the beginning of a secret
   */
  apply(text: string, last: boolean): { readonly shown: string; readonly rest: string } {
    let shown = '';
    let from = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.#at(text, at, last);
      if (found === '') return { shown: shown + text.slice(from, at), rest: text.slice(at) };
      if (found === undefined) {
        at += 1;
        continue;
      }
      shown += text.slice(from, at) + MASK;
      at += found.length;
      from = at;
    }
    return { shown: shown + text.slice(from), rest: '' };
  }

  /** The secret that is here; `` where the text ends in what may be the beginning of one. */
  #at(text: string, at: number, last: boolean): string | undefined {
    const left = text.length - at;
    if (left < LEAST) return !last && this.#beginnings.has(text.slice(at)) ? '' : undefined;
    const needles = this.#needles.get(text.slice(at, at + LEAST));
    if (needles === undefined) return undefined;
    for (const needle of needles) {
      if (text.startsWith(needle, at)) return needle;
      if (!last && left < needle.length && needle.startsWith(text.slice(at))) return '';
    }
    return undefined;
  }
}

/** Output piece by piece; a secret that is cut between two pieces is masked too. */
export class MaskedStream {
  readonly #mask: SecretMask;
  #rest = '';

  constructor(mask: SecretMask) {
    this.#mask = mask;
  }

  write(text: string): string {
    const { shown, rest } = this.#mask.apply(this.#rest + text, false);
    this.#rest = rest;
    return shown;
  }

  end(): string {
    const { shown } = this.#mask.apply(this.#rest, true);
    this.#rest = '';
    return shown;
  }
}

function needlesOf(secret: Uint8Array): readonly string[] {
  const bytes = Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength);
  const text = bytes.toString('utf8');
  const whole = text.replace(/[\r\n]+$/, '');
  const lines = whole.split(/\r?\n/).map((line) => line.trim());
  const plain = [...(whole.length <= PIECE ? [whole] : []), ...lines.flatMap((line) => pieces(line, PIECE))];
  const encoded = base64Of(bytes).flatMap((line) => [line, line.replaceAll('+', '-').replaceAll('/', '_')]);
  return [...plain, ...encoded].filter((needle) => needle.length >= LEAST);
}

/** The value alone, with the line break that `echo` adds or without the one that the file ends in; within other bytes; in lines. */
function base64Of(bytes: Buffer): readonly string[] {
  const text = bytes.toString('latin1').replace(/[\r\n]+$/, '');
  const value = Buffer.from(text, 'latin1');
  if (value.length < LEAST) return [];
  const wholes = [bytes, value, Buffer.from(`${text}\n`, 'latin1')].map((each) => each.toString('base64'));
  const wrapped = wholes.flatMap((line) => pieces(line, BASE64_LINE));
  if (value.length > PIECE) return wrapped;
  return [...wholes, ...wrapped, ...[0, 1, 2].map((offset) => within(value, offset))];
}

/** Those characters that are the same whatever stands around the value, `offset` bytes behind a multiple of three. */
function within(value: Buffer, offset: number): string {
  const line = Buffer.concat([Buffer.alloc(offset), value]).toString('base64');
  return line.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + value.length) * 8) / 6));
}

function pieces(text: string, length: number): readonly string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}
