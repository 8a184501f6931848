import { DefinitionBuilder, type Edge, type Lowered } from '#graph';
import { formatReference, parseReference, type Platform } from '#oci';
import { KilnError } from '#std';
import { atLine, onLine } from '../invalid.ts';
import type { Dockerfile } from '../parse/ast.ts';
import type { Environment } from './environment.ts';
import type { Findings } from '../lint/findings.ts';
import { ImageSteps } from './image-steps.ts';
import { lowerInstruction } from './lower-instruction.ts';
import type { LowerOptions } from './lower-options.ts';
import { triggerFailure } from './onbuild-failure.ts';
import type { RemoteBook } from './remote-book.ts';
import { contextEdge } from './context-edge.ts';
import type { ImageBook } from './resolve-images.ts';
import type { BuiltSource, ContextSource, ImageSource, Source, StagePlan } from './stage-plan.ts';
import { DEFAULT_PATH, StageState } from './stage-state.ts';
import { VertexNames } from './vertex-names.ts';

export interface LoweringContext {
  readonly file: Dockerfile;
  readonly options: LowerOptions;
  readonly scope: Environment;
  readonly findings: Findings;
  readonly images: ImageBook;
  readonly remotes: RemoteBook;
  /** the file has more than one stage, or takes files from an image: then the names of steps tell the stage */
  readonly nameStages: boolean;
}

/** Lowers stages in the order of the file, what they need before them. */
export class StageLowerer {
  readonly builder = new DefinitionBuilder();
  readonly steps = new ImageSteps();
  readonly #context: LoweringContext;
  readonly #states = new Map<StagePlan, StageState>();

  constructor(context: LoweringContext) {
    this.#context = context;
  }

  /** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED, with the line */
  lower(plan: StagePlan): void {
    const { nameStages, ...context } = this.#context;
    const { from } = plan;
    const names = new VertexNames(plan, {
      name: nameStages ? (from.name ?? `stage-${plan.index}`) : '',
      platform: context.options.namePlatforms === true ? this.#platformOf(plan) : undefined,
    });
    const state = onLine(from.line, () => this.#start(plan, names));
    names.follow(state.env);
    const { index } = plan;
    onLine(from.line, () => this.steps.add({ node: from, index, onbuild: false, before: undefined }, state));
    for (const planned of plan.instructions) {
      const { instruction, onbuild } = planned;
      const before = state.root;
      try {
        const sourceOf = (source: Source): Edge => this.#tree(source);
        lowerInstruction(planned, { ...context, builder: this.builder, state, names, onbuild, sourceOf });
        this.steps.add({ node: instruction, index, onbuild, before }, state);
      } catch (thrown) {
        throw onbuild ? triggerFailure(thrown, plan, instruction.text) : atLine(thrown, instruction.line);
      }
    }
    this.#states.set(plan, state);
  }

  #platformOf({ base, platform }: StagePlan): Platform {
    if (base.kind === 'stage') return this.done(base.plan).platform;
    if (base.kind === 'built') return base.lowered.platform;
    return (base.kind === 'image' ? platform : undefined) ?? this.#context.options.platform;
  }

  #start({ base, platform, from, index }: StagePlan, names: VertexNames): StageState {
    if (base.kind === 'stage') return this.done(base.plan).child();
    const { meter } = this.#context.scope;
    if (base.kind === 'scratch') {
      const target = this.#context.options.platform;
      const config = { WorkingDir: '/', Env: [`PATH=${DEFAULT_PATH}`] };
      const root = this.#scratch(target, { stage: from.name ?? String(index), line: from.line });
      return new StageState({ root, platform: target, image: undefined, config, author: undefined, meter });
    }
    if (base.kind === 'context') return this.#onContext(base, platform, names);
    if (base.kind === 'built') return this.#onBuilt(base);
    const image = this.#context.images.get(base);
    const stage = from.name ?? String(index);
    const root = this.#image(base, (text) => ({ ...names.label(text), stage, ignoreCache: false }));
    return new StageState({
      root,
      platform: platform ?? this.#context.options.platform,
      image,
      config: image.config.config ?? {},
      author: image.config.author,
      meter,
    });
  }

  /** The empty tree with a context's files in it, as one layer. */
  #onContext(base: ContextSource, platform: Platform | undefined, names: VertexNames): StageState {
    const target = platform ?? this.#context.options.platform;
    const label = { ...names.label(`FROM ${base.name}`), ignoreCache: false };
    const inputs = [this.#scratch(target, { stage: label.stage, line: base.line }), this.#tree(base)];
    const op = { kind: 'copy', from: [{ input: 1, patterns: ['.'] }], dest: '/' } as const;
    const state = new StageState({
      root: this.builder.add(op, target, inputs, label),
      platform: target,
      image: undefined,
      config: { WorkingDir: '/', Env: [`PATH=${DEFAULT_PATH}`] },
      author: undefined,
      meter: this.#context.scope.meter,
    });
    state.contextLayer = base.name;
    return state;
  }

  /** Goes on where another Dockerfile has ended: its config is that of an image, its ARGs are its own. */
  #onBuilt({ lowered }: BuiltSource): StageState {
    const { platform, base: image, config, author, history } = lowered;
    const root = this.#adopt(lowered);
    const state = new StageState({ root, platform, image, config, author, meter: this.#context.scope.meter });
    state.history.push(...history);
    return state;
  }

  #adopt({ definition }: Lowered): Edge {
    const [root] = definition.roots;
    if (root === undefined) throw new KilnError('INTERNAL', 'a definition without a root');
    this.builder.adopt(definition);
    return root;
  }

  /** What COPY --from takes files from. */
  #tree(source: Source): Edge {
    switch (source.kind) {
      case 'stage':
        return this.done(source.plan).root;
      case 'scratch':
        return this.#scratch(this.#context.options.platform, { stage: '', line: 0 });
      case 'built':
        return this.#adopt(source.lowered);
      case 'context':
        return contextEdge(source, { builder: this.builder, ...this.#context });
      case 'image':
        return this.#image(source, (name) => ({ name, stage: '', line: source.line, ignoreCache: false }));
    }
  }

  /** @throws KilnError INTERNAL for a stage that was not lowered */
  done(plan: StagePlan): StageState {
    const state = this.#states.get(plan);
    if (state === undefined) throw new KilnError('INTERNAL', `the stage at line ${plan.from.line} is not lowered yet`);
    return state;
  }

  #scratch(platform: Platform, at: { readonly stage: string; readonly line: number }): Edge {
    return this.builder.add({ kind: 'scratch' }, platform, [], { name: 'FROM scratch', ...at, ignoreCache: false });
  }

  #image(source: ImageSource, label: (name: string) => Parameters<DefinitionBuilder['add']>[3]): Edge {
    const { digest, reference, config } = this.#context.images.get(source);
    const pinned = formatReference({ ...parseReference(source.reference), digest });
    // An image without layers is the empty tree, which nobody has to fetch.
    if ((config.rootfs.diff_ids ?? []).length === 0) {
      return this.builder.add({ kind: 'scratch' }, source.platform, [], label(`FROM ${pinned}`));
    }
    return this.builder.add({ kind: 'image', reference, digest }, source.platform, [], label(`FROM ${pinned}`));
  }
}
