import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { BuildEvent } from '#protocol';
import { collectProcessFigures } from './process-figures.ts';

export interface BuilderState {
  readonly slots: number;
  readonly draining: boolean;
  /** what its directories take of the room that they have, in bytes */
  readonly rooms: Readonly<Record<Room, { readonly bytes: number; readonly maxBytes: number }>>;
  /** of the disk that they are on */
  readonly diskFreeBytes: number;
}

export type Room = 'snapshots' | 'mounts';

/** What a builder is doing, folded from the events of its builds; docs/metrics.md lists the figures. */
export class BuilderMetrics {
  readonly #registry = new Registry();
  readonly #state: () => Promise<BuilderState>;
  readonly #builds: Counter<'outcome'>;
  readonly #buildSeconds: Histogram<'outcome'>;
  readonly #running: Gauge<'kind'>;
  readonly #steps: Counter<'outcome'>;
  readonly #stepSeconds: Histogram<'outcome'>;
  readonly #saved: Counter;
  readonly #bytes: Counter<'way'>;
  readonly #heartbeats: Counter;
  readonly #lost: Counter;
  readonly #slots: Gauge;
  readonly #draining: Gauge;
  readonly #outOfMemory: Counter;
  readonly #room: Gauge<'room'>;
  readonly #roomLimit: Gauge<'room'>;
  readonly #diskFree: Gauge;

  constructor(state: () => Promise<BuilderState>) {
    this.#state = state;
    const registers = [this.#registry];
    collectProcessFigures(this.#registry);
    this.#builds = new Counter({
      name: 'kiln_builder_builds_total',
      help: 'Builds that this builder ended.',
      labelNames: ['outcome'],
      registers,
    });
    this.#buildSeconds = new Histogram({
      name: 'kiln_builder_build_duration_seconds',
      help: 'Time of a build on this builder, without its time in the queue.',
      labelNames: ['outcome'],
      buckets: [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
      registers,
    });
    this.#running = new Gauge({
      name: 'kiln_builder_builds_running',
      help: 'Builds, and parts of other builders’ builds, in work on this builder.',
      labelNames: ['kind'],
      registers,
    });
    this.#steps = new Counter({
      name: 'kiln_builder_steps_total',
      help: 'Steps of builds of this builder: hit, joined, run or failed.',
      labelNames: ['outcome'],
      registers,
    });
    this.#stepSeconds = new Histogram({
      name: 'kiln_builder_step_duration_seconds',
      help: 'Time of steps that ran on this builder.',
      labelNames: ['outcome'],
      buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800],
      registers,
    });
    this.#saved = new Counter({
      name: 'kiln_builder_saved_seconds_total',
      help: 'Time that hits and joined steps took when they ran.',
      registers,
    });
    this.#bytes = new Counter({
      name: 'kiln_builder_bytes_total',
      help: 'Bytes of builds that succeeded: of contexts sent, pulled from registries, pushed to them.',
      labelNames: ['way'],
      registers,
    });
    this.#heartbeats = new Counter({
      name: 'kiln_builder_heartbeat_failures_total',
      help: 'Heartbeats of this builder and its builds that could not be told.',
      registers,
    });
    this.#lost = new Counter({
      name: 'kiln_builder_builds_lost_total',
      help: 'Builds that went to another builder while this one worked on them.',
      registers,
    });
    this.#slots = new Gauge({ name: 'kiln_builder_slots', help: 'Builds at a time.', registers });
    this.#draining = new Gauge({ name: 'kiln_builder_draining', help: '1 while it takes no more builds.', registers });
    this.#outOfMemory = new Counter({
      name: 'kiln_builder_out_of_memory_total',
      help: 'Processes of steps that the kernel ended because they used more memory than they have.',
      registers,
    });
    this.#room = new Gauge({
      name: 'kiln_builder_room_bytes',
      help: 'Bytes on disk of unpacked snapshots, and of cache mounts, as they were measured last.',
      labelNames: ['room'],
      registers,
    });
    this.#roomLimit = new Gauge({
      name: 'kiln_builder_room_limit_bytes',
      help: 'What they may take.',
      labelNames: ['room'],
      registers,
    });
    this.#diskFree = new Gauge({
      name: 'kiln_builder_disk_free_bytes',
      help: 'Bytes that are free on the disk of the builder’s directory.',
      registers,
    });
    // What has not happened is 0 rather than absent: a rate needs a beginning.
    for (const outcome of ['succeeded', 'failed', 'cancelled']) {
      this.#builds.inc({ outcome }, 0);
      this.#buildSeconds.zero({ outcome });
    }
    for (const outcome of ['run', 'failed']) this.#stepSeconds.zero({ outcome });
    for (const outcome of ['hit', 'joined', 'run', 'failed']) this.#steps.inc({ outcome }, 0);
    for (const way of ['context', 'pulled', 'pushed']) this.#bytes.inc({ way }, 0);
    for (const kind of ['build', 'part']) this.#running.set({ kind }, 0);
  }

  /** A build, or a part of another builder's build, is in work until this is disposed of. */
  build(kind: 'build' | 'part'): BuildMeter {
    this.#running.inc({ kind });
    const steps = new Set<string>();
    let startedAtMs: number | undefined;
    return {
      see: (event) => {
        if (event.type === 'started') startedAtMs = event.atMs;
        else if (event.type === 'planned') for (const { vertex, step } of event.vertices) if (step) steps.add(vertex);
        if ((event.type === 'vertexDone' || event.type === 'vertexFailed') && steps.has(event.vertex))
          this.#step(event);
      },
      end: (event) => {
        if (kind === 'part') return;
        this.#builds.inc({ outcome: event.type });
        if (startedAtMs !== undefined)
          this.#buildSeconds.observe({ outcome: event.type }, Math.max(0, event.atMs - startedAtMs) / 1000);
        if (event.type !== 'succeeded') return;
        const { contextSent, pulled, pushed } = event.result.bytes;
        this.#bytes.inc({ way: 'context' }, contextSent);
        this.#bytes.inc({ way: 'pulled' }, pulled);
        this.#bytes.inc({ way: 'pushed' }, pushed);
      },
      lost: () => this.#lost.inc(),
      [Symbol.dispose]: () => this.#running.dec({ kind }),
    };
  }

  outOfMemory(): void {
    this.#outOfMemory.inc();
  }

  heartbeatFailed(): void {
    this.#heartbeats.inc();
  }

  /** All figures as Prometheus reads them. */
  async text(): Promise<string> {
    const { slots, draining, rooms, diskFreeBytes } = await this.#state();
    this.#slots.set(slots);
    this.#draining.set(draining ? 1 : 0);
    for (const room of ['snapshots', 'mounts'] as const) {
      this.#room.set({ room }, rooms[room].bytes);
      this.#roomLimit.set({ room }, rooms[room].maxBytes);
    }
    this.#diskFree.set(diskFreeBytes);
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #step(event: Extract<BuildEvent, { readonly type: 'vertexDone' | 'vertexFailed' }>): void {
    // What a part told is counted by its own builder.
    if (event.from !== undefined) return;
    if (event.type === 'vertexFailed') {
      this.#steps.inc({ outcome: 'failed' });
      this.#stepSeconds.observe({ outcome: 'failed' }, event.durationMs / 1000);
      return;
    }
    if (event.outcome === 'done' || event.empty === true) return;
    this.#steps.inc({ outcome: event.outcome });
    if (event.outcome === 'run') this.#stepSeconds.observe({ outcome: 'run' }, event.durationMs / 1000);
    else this.#saved.inc(Math.max(0, event.hit?.savedMs ?? 0) / 1000);
  }
}

/** What one build is told to. */
export interface BuildMeter extends Disposable {
  see(event: BuildEvent): void;
  /** with its last event */
  end(event: Extract<BuildEvent, { readonly type: 'succeeded' | 'failed' | 'cancelled' }>): void;
  /** it has gone to another builder */
  lost(): void;
}
