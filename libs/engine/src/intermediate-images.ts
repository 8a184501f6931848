import type { StoredLayer } from '#cache';
import { assembleImage } from '#exporter';
import type { ImageStep, Lowered } from '#graph';
import type { Digest, Layer } from '#oci';
import type { PlannedInstruction } from '#protocol';
import { clampTo, createdAt, stepTimes } from './image-times.ts';

type MadeLayer = Layer & Pick<StoredLayer, 'createdAtMs'>;

/** An ARG before the first FROM: `docker build` counts it. */
export interface GlobalArg {
  readonly line: number;
  readonly text: string;
}

export interface IntermediateOptions {
  readonly lowered: Lowered;
  readonly globalArgs: readonly GlobalArg[];
  /** of a base image: the digest of its config, and its layers */
  readonly baseOf: (image: Digest) => { readonly id: Digest; readonly layers: readonly Layer[] };
  /** an instruction's image is known: its place among {@link IntermediateImages.instructions} */
  readonly onImage: (instruction: number, id: Digest) => void;
}

/**
 * The image that each instruction gives, as the classic `docker build` tells it: a config over what there is by then. Known
 * as soon as the layers below are, and the same for a step that ran and for one that hit.
 */
export class IntermediateImages implements Disposable {
  readonly #options: IntermediateOptions;
  readonly #steps: readonly ImageStep[];
  readonly #layers = new Map<Digest, readonly MadeLayer[]>();
  readonly #ids = new Map<ImageStep, Digest>();
  #over = false;

  constructor(options: IntermediateOptions) {
    this.#options = options;
    this.#steps = options.lowered.steps;
  }

  get instructions(): PlannedInstruction[] {
    return [
      ...this.#options.globalArgs.map(({ line, text }) => ({ line, text })),
      ...this.#steps.map(({ line, text, stage, onbuild, made, root }) => ({
        ...{ line, text, stage },
        ...(onbuild ? { onbuild } : {}),
        ...(made ? { vertex: root.vertex } : {}),
      })),
    ];
  }

  /** Tells what is known from the start: the bases. */
  begin(): void {
    for (const step of this.#steps) {
      const { base } = step.image;
      if (!isUntouched(step) || base === undefined) continue;
      const { id, layers } = this.#options.baseOf(base.digest);
      this.#tell(step, id);
      this.see(step.root.vertex, layers);
    }
  }

  /** The layers of a vertex' tree are known. */
  see(vertex: Digest, layers: readonly MadeLayer[]): void {
    this.#layers.set(vertex, layers);
    for (const step of this.#steps) {
      // The last one is the image itself, whose form the export decides.
      if (step.root.vertex === vertex && step !== this.#steps.at(-1)) this.#tell(step, this.#idOf(step, layers));
    }
  }

  /**
   * The image is out, and with it what its stages were.
   * @returns of each entry of its own history the image up to there, where that is known
   */
  end(id: Digest, layers: readonly MadeLayer[]): readonly (Digest | undefined)[] {
    const { lowered } = this.#options;
    const trunk = trunkOf(lowered);
    const ids: (Digest | undefined)[] = lowered.history.map(() => undefined);
    const ofBase = lowered.base?.config.rootfs.diff_ids?.length ?? 0;
    for (const step of this.#steps) {
      if (!trunk.has(step.root.vertex)) continue;
      const last = step === this.#steps.at(-1);
      const below = layers.slice(0, ofBase + madeIn(step));
      this.#tell(step, last ? id : this.#idOf(step, below));
      const { length } = step.image.history;
      if (length > 0) ids[length - 1] = this.#ids.get(step);
    }
    return ids;
  }

  /** Tells nothing any more: layers may come to be known after the build has ended. */
  [Symbol.dispose](): void {
    this.#over = true;
  }

  #tell(step: ImageStep, id: Digest | undefined): void {
    if (id === undefined || this.#over || this.#ids.has(step)) return;
    this.#ids.set(step, id);
    this.#options.onImage(this.#options.globalArgs.length + this.#steps.indexOf(step), id);
  }

  /** Undefined where layers and history do not match, as where no instruction made a layer; and for FROM, which is the base. */
  #idOf(step: ImageStep, layers: readonly MadeLayer[]): Digest | undefined {
    const { platform, epochSeconds } = this.#options.lowered;
    const { config, author, base, history } = step.image;
    const ofBase = base?.config.rootfs.diff_ids?.length ?? 0;
    if (history.length === 0 || layers.length !== ofBase + madeIn(step)) return undefined;
    const own = layers.slice(ofBase);
    const created = createdAt(own.at(-1)?.createdAtMs, base);
    const times = stepTimes(history, own, created);
    const upTo = clampTo(epochSeconds);
    return assembleImage({
      platform,
      config,
      author,
      history: history.map((entry, at) => ({ ...entry, createdAt: upTo(times[at] ?? created) })),
      ...(base === undefined ? {} : { base: { config: base.config } }),
      layers,
      createdAt: upTo(created),
    }).configDescriptor.digest;
  }
}

/** Nothing is of this build yet. */
const isUntouched = ({ made, image }: ImageStep): boolean => !made && image.history.length === 0;

const madeIn = ({ image: { history } }: ImageStep): number => history.filter(({ emptyLayer }) => !emptyLayer).length;

/** The vertices that the result stands on, each on the one below. */
function trunkOf({ definition }: Lowered): ReadonlySet<Digest> {
  const trunk = new Set<Digest>();
  for (let at = definition.roots[0]?.vertex; at !== undefined; at = definition.vertices.get(at)?.inputs[0]?.vertex)
    trunk.add(at);
  return trunk;
}
