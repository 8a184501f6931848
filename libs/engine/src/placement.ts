import type { NodePlatforms } from '#executor';
import { formatPlatform, type Platform, runsOn } from '#oci';
import type { BuildEvent, BuildResult, EventOrigin } from '#protocol';
import { type Clock, KilnError } from '#std';
import type { PinnedPart } from './part-pins.ts';

/** An event of a part; `known` when an earlier attempt of the build has told of it. */
export interface PartEvent {
  readonly event: BuildEvent;
  readonly from: EventOrigin;
  readonly known: boolean;
}

/** The other builders of the farm, as one build may use them. */
export interface Elsewhere {
  /** what those that take work now run */
  builders(): Promise<readonly NodePlatforms[]>;
  /**
   * Has a part run by a builder that is fit for it, and hands on what that tells, in order.
   * @returns undefined when there is none any more
   * @throws PartFailure
   */
  run(
    part: PinnedPart,
    onEvent: (told: PartEvent) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<BuildResult | undefined>;
}

/** What the farm knew a moment ago is true enough. */
const FRESH_MS = 1_000;

const fits = (platforms: readonly Platform[], wanted: Platform): boolean =>
  platforms.some((own) => runsOn(own, wanted));

/** Where a build's processes run: on a node of their architecture, else under emulation here, else under emulation elsewhere. */
export class Placement {
  #known: { readonly atMs: number; readonly others: readonly NodePlatforms[] } | undefined;

  /** @param elsewhere undefined for what was given to this node because it is fit */
  constructor(
    readonly own: NodePlatforms,
    readonly elsewhere: Elsewhere | undefined,
    readonly clock: Clock,
  ) {}

  /** @throws KilnError PLATFORM_UNAVAILABLE naming the platforms that there are */
  async of(platform: Platform): Promise<'here' | 'elsewhere'> {
    if (fits(this.own.native, platform)) return 'here';
    const others = await this.#others();
    if (others.some(({ native }) => fits(native, platform))) return 'elsewhere';
    if (fits(this.own.emulated, platform)) return 'here';
    if (others.some(({ emulated }) => fits(emulated, platform))) return 'elsewhere';
    const all = [this.own, ...others].flatMap(({ native, emulated }) => [...native, ...emulated]);
    const names = [...new Set(all.map(formatPlatform))].join(', ');
    throw new KilnError(
      'PLATFORM_UNAVAILABLE',
      `no builder can run ${formatPlatform(platform)}: builders run ${names}`,
      {
        hint: 'check how it is written; else install qemu-user-static on a builder, or add a node of that architecture',
      },
    );
  }

  /** What was known is asked for anew. */
  forget(): void {
    this.#known = undefined;
  }

  async #others(): Promise<readonly NodePlatforms[]> {
    const nowMs = this.clock.nowMs();
    if (this.#known === undefined || nowMs - this.#known.atMs > FRESH_MS) {
      this.#known = { atMs: nowMs, others: (await this.elsewhere?.builders()) ?? [] };
    }
    return this.#known.others;
  }
}
