import { Counter, Gauge, Registry } from 'prom-client';
import { missWords } from '#protocol';

/** What holds for the farm as a whole at one moment. */
export interface FarmState {
  /** builds without their parts */
  readonly queued: number;
  readonly running: number;
  /** of the build that has been queued for longest */
  readonly oldestQueuedSeconds: number;
  readonly builders: Readonly<Record<'ready' | 'draining' | 'drained', number>>;
  /** builds that the ready builders have room for at a time */
  readonly slots: number;
  readonly blobs: number;
  readonly blobBytes: number;
  readonly results: number;
  readonly webhooks: Readonly<Record<'pending' | 'failed', number>>;
  /** since the farm began */
  readonly totals: {
    readonly buildsSubmitted: number;
    /** by builders that were missed while they ran them, each time */
    readonly buildsLost: number;
    /** by outcome */
    readonly buildsEnded: Readonly<Record<string, number>>;
    /** by outcome */
    readonly steps: Readonly<Record<string, number>>;
    /** by cause */
    readonly misses: Readonly<Record<string, number>>;
    readonly savedMs: number;
    readonly savedBytes: number;
    readonly spentMs: number;
  };
}

/** What has not happened yet is 0 rather than absent: a rate needs a beginning. */
const ended = { succeeded: 0, failed: 0, cancelled: 0 };
const outcomes = { hit: 0, joined: 0, miss: 0 };
const causes = Object.fromEntries(missWords.map((word) => [word, 0]));

/** The farm's figures as Prometheus reads them; every API tells the same. */
export async function farmText(state: FarmState): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const tell = (name: string, help: string, value: number): void =>
    new Gauge({ name, help: `${help}, farm-wide.`, registers }).set(value);
  const tellEach = (name: string, help: string, values: Readonly<Record<string, number>>): void => {
    const gauge = new Gauge({ name, help: `${help}, farm-wide.`, labelNames: ['state'], registers });
    for (const [each, value] of Object.entries(values)) gauge.set({ state: each }, value);
  };
  tellEach('kiln_builds', 'Builds that have not ended', { queued: state.queued, running: state.running });
  tell(
    'kiln_oldest_queued_build_seconds',
    'For how long the build that was queued first has waited',
    state.oldestQueuedSeconds,
  );
  tellEach('kiln_builders', 'Builders that were heard of lately', state.builders);
  tell('kiln_slots', 'Builds that the ready builders have room for at a time', state.slots);
  tell('kiln_content_blobs', 'Blobs in the content store', state.blobs);
  tell('kiln_content_bytes', 'Bytes of the blobs in the content store', state.blobBytes);
  tell('kiln_cache_results', 'Results in the cache', state.results);
  tellEach(
    'kiln_webhook_deliveries',
    'Deliveries of webhooks that wait, and that failed for good within a day',
    state.webhooks,
  );
  const { totals } = state;
  const count = (name: string, help: string, value: number): void =>
    new Counter({ name, help: `${help}, farm-wide.`, registers }).inc(value);
  const countEach = (name: string, help: string, label: string, values: Readonly<Record<string, number>>): void => {
    const counter = new Counter({ name, help: `${help}, farm-wide.`, labelNames: [label], registers });
    for (const [each, value] of Object.entries(values)) counter.inc({ [label]: each }, value);
  };
  count('kiln_builds_submitted_total', 'Builds that were accepted', totals.buildsSubmitted);
  count('kiln_builds_lost_total', 'Times that a builder was missed while it ran a build', totals.buildsLost);
  countEach('kiln_builds_ended_total', 'Builds that ended', 'outcome', { ...ended, ...totals.buildsEnded });
  countEach('kiln_steps_total', 'Steps of builds that ended', 'outcome', { ...outcomes, ...totals.steps });
  countEach('kiln_misses_total', 'Steps that ran, by why nothing in the cache could be used', 'cause', {
    ...causes,
    ...totals.misses,
  });
  count('kiln_saved_seconds_total', 'What hits took when they ran', totals.savedMs / 1000);
  count('kiln_saved_bytes_total', 'Bytes of layers that hits stood for', totals.savedBytes);
  count('kiln_spent_seconds_total', 'Time of steps that ran', totals.spentMs / 1000);
  return await registry.metrics();
}
