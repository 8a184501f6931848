import { describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { BuilderMetrics } from './builder-metrics.ts';

const vertex = digestOf('a step');
const other = digestOf('an image');
const planned = (step: boolean, digest = vertex): BuildEvent => ({
  type: 'planned',
  atMs: 0,
  vertices: [{ vertex: digest, name: 'RUN make', stage: '', inputs: [], step, line: 1 }],
});
const ran: BuildEvent = { type: 'vertexDone', atMs: 5, vertex, outcome: 'run', durationMs: 1500 };
const hit: BuildEvent = {
  ...ran,
  outcome: 'hit',
  hit: { key: 'definition', buildId: 'b', builderId: 'b1', scope: 'main', savedMs: 2500, savedBytes: 1 },
};

async function figures(metrics: BuilderMetrics): Promise<(name: string) => number | undefined> {
  const lines = (await metrics.text()).split('\n');
  return (name) => {
    const line = lines.find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };
}
const room = { bytes: 5, maxBytes: 10 };
const state = {
  slots: 3,
  draining: false,
  rooms: { snapshots: room, mounts: { ...room, bytes: 7 } },
  diskFreeBytes: 9,
};
const idle = () => Promise.resolve(state);

describe('BuilderMetrics', () => {
  it('begins at nothing, not at absence', async () => {
    const of = await figures(new BuilderMetrics(idle));
    for (const outcome of ['hit', 'joined', 'run', 'failed'])
      expect(of(`kiln_builder_steps_total{outcome="${outcome}"}`)).toBe(0);
    expect(of('kiln_builder_builds_lost_total')).toBe(0);
    expect(of('kiln_builder_slots')).toBe(3);
    expect(of('kiln_builder_draining')).toBe(0);
    expect(of('kiln_builder_out_of_memory_total')).toBe(0);
    expect(of('kiln_builder_room_bytes{room="snapshots"}')).toBe(5);
    expect(of('kiln_builder_room_bytes{room="mounts"}')).toBe(7);
    expect(of('kiln_builder_room_limit_bytes{room="mounts"}')).toBe(10);
    expect(of('kiln_builder_disk_free_bytes')).toBe(9);
  });

  it('counts steps, not what is no step, once, where they ran', async () => {
    const metrics = new BuilderMetrics(idle);
    const meter = metrics.build('build');
    for (const event of [planned(true), planned(false, other), hit, ran, { ...ran, vertex: other }]) meter.see(event);
    meter.see({ ...ran, from: { part: 'p', seq: 3 } });
    meter.see({ ...ran, empty: true });
    meter.see({ ...ran, outcome: 'done' });
    meter.see({ type: 'vertexFailed', atMs: 9, vertex, durationMs: 10, message: 'no' });
    const of = await figures(metrics);
    expect(of('kiln_builder_steps_total{outcome="run"}')).toBe(1);
    expect(of('kiln_builder_steps_total{outcome="hit"}')).toBe(1);
    expect(of('kiln_builder_steps_total{outcome="failed"}')).toBe(1);
    expect(of('kiln_builder_saved_seconds_total')).toBe(2.5);
    expect(of('kiln_builder_step_duration_seconds_sum{outcome="run"}')).toBe(1.5);
  });

  it('counts builds as they end, parts not, and lets go of both', async () => {
    const metrics = new BuilderMetrics(idle);
    {
      using build = metrics.build('build');
      using part = metrics.build('part');
      const of = await figures(metrics);
      expect(of('kiln_builder_builds_running{kind="build"}')).toBe(1);
      expect(of('kiln_builder_builds_running{kind="part"}')).toBe(1);
      build.see({ type: 'started', atMs: 1000, builderId: 'b', attempt: 1 });
      const cancelled = { type: 'cancelled', atMs: 3000, reason: 'on request' } as const;
      build.end(cancelled);
      part.end(cancelled);
    }
    const of = await figures(metrics);
    expect(of('kiln_builder_builds_total{outcome="cancelled"}')).toBe(1);
    expect(of('kiln_builder_build_duration_seconds_sum{outcome="cancelled"}')).toBe(2);
    expect(of('kiln_builder_builds_running{kind="build"}')).toBe(0);
    expect(of('kiln_builder_builds_running{kind="part"}')).toBe(0);
  });
});
