import type { Digest } from '#oci';
import type { BuildEvent, StepCounts } from '#protocol';

/** Folds a build's events to the figures that its result tells. */
export class Tally {
  readonly #steps = new Set<Digest>();
  readonly #outcomes = new Map<
    Digest,
    { readonly outcome: 'hit' | 'run' | 'joined'; readonly empty: boolean; readonly savedMs: number }
  >();
  pulledBytes = 0;
  /** of files that the client was asked for */
  sentBytes = 0;
  pushedBytes = 0;

  see(event: BuildEvent): void {
    if (event.type === 'planned') for (const { vertex, step } of event.vertices) if (step) this.#steps.add(vertex);
    if (event.type !== 'vertexDone' || event.outcome === 'done') return;
    // A step that ran stays one that ran when a repair solves the graph again.
    if (this.#outcomes.get(event.vertex)?.outcome === 'run') return;
    const { outcome, empty = false, hit } = event;
    this.#outcomes.set(event.vertex, { outcome, empty, savedMs: hit?.savedMs ?? 0 });
  }

  counts(): StepCounts {
    const counted = [...this.#steps]
      .flatMap((vertex) => this.#outcomes.get(vertex) ?? [])
      .filter(({ empty }) => !empty);
    const of = (outcome: string): number => counted.filter((step) => step.outcome === outcome).length;
    return { total: counted.length, hit: of('hit'), run: of('run'), joined: of('joined') };
  }

  savedMs(): number {
    return Math.round([...this.#outcomes.values()].reduce((sum, { savedMs }) => sum + savedMs, 0));
  }
}
