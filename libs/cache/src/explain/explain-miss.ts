import { type Definition, isStep, type Vertex } from '#graph';
import { type Digest, DigestSchema } from '#oci';
import type { MissCause, MissChange, StepRef } from '#protocol';
import { compareOps, instruction, sourcesText } from './compare-ops.ts';
import { counterparts } from './counterparts.ts';
import type { KeyAnswer, PastBuild } from './key-book.ts';
import type { KeyedVertex } from './keyed-vertex.ts';

/** Files that two selections differ in; who can read their listings says which. */
export interface SelectionChange {
  readonly input: number;
  readonly old: Digest;
}

export interface ExplainOptions {
  readonly definition: Definition;
  readonly keyed: readonly KeyedVertex[];
  readonly answer: KeyAnswer;
  /** steps that no record was found for */
  readonly missed: ReadonlySet<Digest>;
  /** of these: since when (ms since the epoch) what was found is too old */
  readonly expired: ReadonlyMap<Digest, number>;
  /** called for each change of files that a cause tells, which the caller completes */
  readonly onFiles: (
    change: Extract<MissChange, { kind: 'files' }>,
    where: SelectionChange & { vertex: Vertex },
  ) => void;
}

/** Explains the misses of one build against another: a comparison of what their keys hash, and no more. */
export class MissExplainer {
  readonly #options: ExplainOptions;
  readonly #past: PastBuild | undefined;
  readonly #pairs: ReturnType<typeof counterparts>;
  readonly #keyed: ReadonlyMap<Digest, KeyedVertex>;
  readonly #byKey: ReadonlyMap<string, KeyedVertex>;
  readonly #causes = new Map<Digest, MissCause | undefined>();

  constructor(options: ExplainOptions) {
    this.#options = options;
    const { keyed, answer } = options;
    this.#past = answer.past;
    this.#pairs = counterparts(keyed, answer.past?.vertices ?? []);
    this.#keyed = new Map(keyed.map((each) => [each.vertex, each]));
    this.#byKey = new Map((answer.past?.vertices ?? []).map((each) => [each.key, each]));
  }

  /** Why a step missed. */
  of(vertex: Vertex): MissCause {
    return this.#causeOf(vertex) ?? { kind: 'unknown' };
  }

  /** Undefined for what is the same as it was, and was found. */
  #causeOf(vertex: Vertex): MissCause | undefined {
    if (!this.#causes.has(vertex.digest)) this.#causes.set(vertex.digest, this.#find(vertex));
    return this.#causes.get(vertex.digest);
  }

  #find(vertex: Vertex): MissCause | undefined {
    const { answer, missed, expired } = this.#options;
    if (vertex.label.ignoreCache && isStep(vertex)) {
      return { kind: 'noCache', flag: vertex.label.ignoredBy ?? '--no-cache', stage: vertex.label.stage };
    }
    const keyed = this.#keyed.get(vertex.digest);
    if (keyed === undefined) return undefined;
    const isMiss = missed.has(vertex.digest);
    if (isMiss) {
      const expiredAtMs = expired.get(vertex.digest);
      if (expiredAtMs !== undefined) return { kind: 'expired', at: new Date(expiredAtMs).toISOString() };
      const end = answer.ends.get(keyed.key);
      if (end?.there === true) return this.#ranBelow(vertex) ?? { kind: 'otherRun' };
      if (end?.gone !== undefined) return { kind: 'gone', ...end.gone };
      if (end?.elsewhere === true) return { kind: 'scope' };
    }
    const past = this.#pairs.get(keyed.key);
    if (past === undefined) return isStep(vertex) ? { kind: 'neverBuilt' } : this.#below(vertex);
    if (past.key !== keyed.key) return this.#difference(vertex, keyed, past);
    if (!isMiss) return this.#ranBelow(vertex);
    return this.#ranBelow(vertex) ?? { kind: 'unfinished', buildId: this.#past?.buildId ?? '' };
  }

  #difference(vertex: Vertex, now: KeyedVertex, past: KeyedVertex): MissCause | undefined {
    if (now.preimage === undefined || past.preimage === undefined) return { kind: 'unknown' };
    const changes = [...compareOps(now, past, new Set(vertex.label.args))];
    const rewritten = changes.some(({ kind }) => kind === 'instruction');
    let followed: Vertex | undefined;
    for (const [index, input] of vertex.inputs.entries()) {
      const source = this.#options.definition.vertices.get(input.vertex);
      const [mine, theirs] = [now.preimage.inputs[index], past.preimage.inputs[index]];
      if (source === undefined || mine === undefined) continue;
      if ('selection' in mine) {
        if (theirs !== undefined && 'selection' in theirs && theirs.selection !== mine.selection)
          changes.push(
            ...this.#filesChange({ vertex, input: index, old: theirs.selection }, { source, now, past, rewritten }),
          );
        continue;
      }
      const before = theirs !== undefined && 'key' in theirs ? this.#byKey.get(theirs.key) : undefined;
      if (
        index === 0 &&
        isLinked(vertex, source) !== isLinked(vertex, before) &&
        instruction(now) !== instruction(past)
      ) {
        if (!rewritten) changes.push({ kind: 'instruction', old: instruction(past), new: instruction(now) });
        continue;
      }
      const change = this.#inputChange(source, before);
      if (change === 'followed') followed ??= source;
      // Another --from is what the new text says.
      else if (change !== undefined && !(rewritten && index > 0)) changes.push(change);
    }
    const below = followed === undefined ? undefined : this.#follow(followed);
    if (changes.length === 0)
      return below ?? this.#ranBelow(vertex) ?? (isStep(vertex) ? { kind: 'unknown' } : undefined);
    if (below?.kind === 'followed') changes.push({ kind: 'step', step: below.step });
    return { kind: 'changed', changes };
  }

  #filesChange(
    where: SelectionChange & { readonly vertex: Vertex },
    { source, now, past, rewritten }: { source: Vertex; now: KeyedVertex; past: KeyedVertex; rewritten: boolean },
  ): readonly MissChange[] {
    const [text, before] = [instruction(now), instruction(past)];
    // Other sources: that other files come with them needs no saying.
    if (where.vertex.op.kind === 'copy' && sourcesText(text) !== sourcesText(before))
      return rewritten ? [] : [{ kind: 'instruction', old: before, new: text }];
    if (where.vertex.op.kind === 'exec' && rewritten) return [];
    const change = { kind: 'files', source: sourceName(source), total: 0, files: [] } as const;
    const filled: Extract<MissChange, { kind: 'files' }> = { ...change, files: [] };
    this.#options.onFiles(filled, where);
    return [filled];
  }

  /** Of what a step stands on, or copies from. */
  #inputChange(now: Vertex, past: KeyedVertex | undefined): MissChange | 'followed' | undefined {
    const mine = this.#keyed.get(now.digest);
    if (mine !== undefined && mine.key === past?.key) return this.#causeOf(now) === undefined ? undefined : 'followed';
    if (isLeaf(now) && (past === undefined || isLeafKind(past.preimage?.op.kind))) return leafChange(now, mine, past);
    const counterpart = mine && this.#pairs.get(mine.key);
    // It is new, or it is what stood there before.
    if (past === undefined || (counterpart === undefined && !isLeaf(now)) || counterpart === past) return 'followed';
    const gone = ![...this.#pairs.values()].includes(past);
    return { kind: 'order', old: instruction(past), new: instruction(mine ?? past), gone };
  }

  /** The first step below that ran in this build, although nothing about this one has changed. */
  #ranBelow(vertex: Vertex): MissCause | undefined {
    for (const { vertex: digest } of vertex.inputs) {
      const source = this.#options.definition.vertices.get(digest);
      if (source === undefined || isLeaf(source)) continue;
      const found = this.#options.missed.has(digest) ? this.#follow(source) : this.#ranBelow(source);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Of what only puts its inputs together. */
  #below(vertex: Vertex): MissCause | undefined {
    for (const { vertex: digest } of vertex.inputs) {
      const source = this.#options.definition.vertices.get(digest);
      const cause = source && !isLeaf(source) ? this.#follow(source) : undefined;
      if (cause !== undefined) return cause;
    }
    return undefined;
  }

  /** Of a step that stands on `source`: the first cause is what counts. */
  #follow(source: Vertex): MissCause | undefined {
    const cause = this.#causeOf(source);
    if (cause === undefined || cause.kind === 'followed') return cause;
    return isStep(source) ? { kind: 'followed', step: refOf(source), cause } : cause;
  }
}

const leafKinds = ['image', 'scratch', 'git', 'http', 'local'];
const isLeafKind = (kind: string | undefined): boolean => kind === undefined || leafKinds.includes(kind);
const isLeaf = ({ op }: Vertex): boolean => isLeafKind(op.kind);

/** A COPY that stands on nothing: --link, or a first one. */
const isLinked = ({ op }: Vertex, base: Vertex | KeyedVertex | undefined): boolean =>
  op.kind === 'copy' &&
  (base === undefined || ('op' in base && typeof base.op === 'object' && base.op.kind === 'scratch'));

const refOf = ({ digest: vertex, label: { name, line } }: Vertex): StepRef => ({ vertex, name, line });

function sourceName({ op }: Vertex): string {
  if (op.kind === 'http') return op.url;
  return op.kind === 'local' ? op.name.replace(/^context:/, '') : op.kind;
}

/** `FROM node:22@sha256:…` is node:22. */
const imageName = (name: string): string =>
  instruction({ name })
    .replace(/^FROM /, '')
    .replace(/@sha256:[0-9a-f]*$/, '')
    .replace(/^docker\.io\/(?:library\/)?/, '');

function leafChange(now: Vertex, mine: KeyedVertex | undefined, past: KeyedVertex | undefined): MissChange | undefined {
  const old = past?.preimage?.op;
  if (now.op.kind === 'git' && old?.kind === 'git') {
    if (old['commit'] === now.op.commit) {
      const [before, after] = [instruction(past ?? { name: '' }), instruction(mine ?? { name: '' })];
      return { kind: 'instruction', old: before, new: after };
    }
    return { kind: 'commit', repository: now.op.remote, old: String(old['commit']), new: now.op.commit };
  }
  const newDigest = now.op.kind === 'image' ? now.op.digest : null;
  const oldDigest = old?.kind === 'image' ? (DigestSchema.safeParse(old['digest']).data ?? null) : null;
  if (newDigest === null && oldDigest === null) return undefined;
  return {
    kind: 'image',
    oldName: past === undefined ? 'scratch' : imageName(past.name),
    newName: now.op.kind === 'image' ? imageName(now.label.name) : now.op.kind,
    old: oldDigest,
    new: newDigest,
  };
}
