import {
  type CacheKey,
  type ExplainedKey,
  type KeyAnswer,
  type KeyBook,
  keptVertices,
  type KeptVertex,
  MissExplainer,
  readPreimage,
  redacted,
  secretValues,
  type SelectionChange,
  without,
} from '#cache';
import type { Definition, Vertex } from '#graph';
import type { Digest } from '#oci';
import {
  type ComparedBuild,
  type FileChange,
  MAX_NAMED_FILES,
  type MissCause,
  type MissChange,
  missText,
} from '#protocol';
import { canonicalJson, type Clock, type Json } from '#std';

/** What explaining a build's misses takes from outside. */
export interface Explaining {
  readonly book: KeyBook;
  /** takes the values of the build's secrets out of a text */
  readonly mask: (text: string) => string;
  /** What differs between what a step takes from an input and an earlier selection; undefined where that is not kept. */
  readonly fileChanges: (vertex: Vertex, input: number, old: Digest) => Promise<readonly FileChange[] | undefined>;
  /** Keeps the lists of what a step takes, so that later ones can be compared with them. */
  readonly keepSelections: (vertex: Vertex) => Promise<void>;
  readonly onFailure: (what: string, thrown: unknown) => void;
}

/** What an event tells of a miss. */
export interface Missed {
  readonly miss: string;
  readonly cause: MissCause;
  readonly compared?: ComparedBuild;
}

/** A step that is to run waits no longer than this for its explanation. */
const GRACE_MS = 250;
const unknown: Missed = { miss: missText({ kind: 'unknown' }), cause: { kind: 'unknown' } };

export interface MissesOptions {
  readonly definition: Definition;
  readonly keys: ReadonlyMap<Digest, ExplainedKey>;
  /** steps that no record was found for */
  readonly missed: readonly Vertex[];
  /** of these: since when (ms since the epoch) what was found is too old */
  readonly expired: ReadonlyMap<Digest, number>;
  readonly explaining: Explaining;
  readonly clock: Clock;
}

interface Asked {
  readonly explainer: MissExplainer;
  readonly answer: KeyAnswer;
  /** values that no cause may show */
  readonly secrets: readonly string[];
}

/** Why steps of one build miss. Asks for what it needs once, if there is a miss at all; fails no build and holds none up. */
export class Misses {
  readonly #options: MissesOptions;
  readonly #asked: Promise<Asked | undefined>;
  readonly #files = new Map<MissChange, SelectionChange & { readonly vertex: Vertex }>();
  readonly #told = new Map<Digest, Missed>();
  readonly #background = new Set<Promise<void>>();
  #isLate = false;

  constructor(options: MissesOptions) {
    this.#options = options;
    const { definition, keys, missed, explaining } = options;
    const kept = keptVertices(definition, keys);
    explaining.book.keep(kept, missed.length === 0);
    this.#asked = missed.length === 0 ? Promise.resolve(undefined) : this.#ask(kept);
  }

  /** Begins to explain a step that is about to run. What it takes is kept meanwhile. */
  begin(vertex: Vertex): Promise<Missed> {
    const { explaining } = this.#options;
    const kept = explaining
      .keepSelections(vertex)
      .catch((thrown: unknown) => explaining.onFailure('what a step takes could not be kept', thrown));
    this.#background.add(kept);
    void kept.then(() => this.#background.delete(kept));
    const explained = this.#explain(vertex).catch((thrown: unknown) => {
      explaining.onFailure('a miss could not be explained', thrown);
      return unknown;
    });
    void explained.then((missed) => this.#told.set(vertex.digest, missed));
    return explained;
  }

  /** Of a step that is to run: its explanation, unless that takes too long; then none is waited for any more. */
  async inTime({ digest }: Vertex, begun: Promise<Missed>): Promise<Missed | undefined> {
    if (this.#isLate) return this.#told.get(digest);
    using stop = abortedAtEnd();
    const late = this.#options.clock.sleep(GRACE_MS, stop.signal).then(
      () => {
        this.#isLate = true;
        return undefined;
      },
      () => undefined,
    );
    return await Promise.race([begun, late]);
  }

  /** What is known by now. */
  told(vertex: Digest): Missed | undefined {
    return this.#told.get(vertex);
  }

  /** Resolves when all that is kept for later is kept. */
  async settled(): Promise<void> {
    await Promise.all(this.#background);
  }

  async #ask(kept: readonly KeptVertex[]): Promise<Asked | undefined> {
    const { definition, keys, missed, expired, explaining } = this.#options;
    try {
      const asked = missed.flatMap(({ digest }): CacheKey | [] => keys.get(digest)?.key ?? []);
      const answer = await explaining.book.ask(kept, asked);
      // As it is kept: what is undefined is not there.
      const asKept = (json: Json): unknown => JSON.parse(canonicalJson(json));
      const keyed = kept.map(({ json, ...vertex }) => ({ ...vertex, preimage: readPreimage(asKept(json)) }));
      const explainer = new MissExplainer({
        ...{ definition, keyed, answer },
        missed: new Set(missed.map(({ digest }) => digest)),
        expired,
        onFiles: (change, where) => this.#files.set(change, where),
      });
      return { explainer, answer, secrets: secretValues([...keyed, ...(answer.past?.vertices ?? [])]) };
    } catch (thrown) {
      explaining.onFailure('misses cannot be explained', thrown);
      return undefined;
    }
  }

  async #explain(vertex: Vertex): Promise<Missed> {
    const found = await this.#asked;
    if (found === undefined) return unknown;
    const { explainer, answer, secrets } = found;
    const { mask } = this.#options.explaining;
    const whole = await this.#withFiles(explainer.of(vertex));
    const cause = redacted(whole, (text) => without(secrets, mask(text)));
    if (answer.past === undefined) return { miss: missText(cause), cause };
    const { vertices: _, ...compared } = answer.past;
    return { miss: missText(cause), cause, compared };
  }

  async #withFiles(cause: MissCause): Promise<MissCause> {
    if (cause.kind === 'changed') return { ...cause, changes: await this.#named(cause.changes) };
    if (cause.kind !== 'followed' || cause.cause.kind !== 'changed') return cause;
    return { ...cause, cause: { ...cause.cause, changes: await this.#named(cause.cause.changes) } };
  }

  #named(changes: readonly MissChange[]): Promise<MissChange[]> {
    return Promise.all(
      changes.map(async (change) => {
        const where = this.#files.get(change);
        if (change.kind !== 'files' || where === undefined) return change;
        const { vertex, input, old } = where;
        const files = await this.#options.explaining.fileChanges(vertex, input, old);
        if (files === undefined) return change;
        return { ...change, total: files.length, files: files.slice(0, MAX_NAMED_FILES) };
      }),
    );
  }
}

/** A signal that is aborted when its scope is left. */
function abortedAtEnd(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  return { signal: controller.signal, [Symbol.dispose]: () => controller.abort() };
}
