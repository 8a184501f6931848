import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ApiMetrics } from './api-metrics.ts';
import { BuilderMetrics } from './builder-metrics.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const docs = read('docs/metrics.md');
const Alerts = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ alert: z.string(), expr: z.string(), annotations: z.object({ runbook_url: z.string() }) }),
      ),
    }),
  ),
});
const { rules } = Alerts.parse(parse(read('infra/prometheus/alerts.yml'))).groups[0] ?? { rules: [] };
const Panels = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).default([]) })),
});
const panels = Panels.parse(JSON.parse(read('infra/grafana/kiln.json'))).panels.flatMap(({ targets }) => targets);

const state = {
  ...{ queued: 1, running: 2, oldestQueuedSeconds: 3, slots: 4, blobs: 5, blobBytes: 6, results: 7 },
  builders: { ready: 1, draining: 0, drained: 0 },
  webhooks: { pending: 0, failed: 0 },
  totals: {
    ...{ buildsSubmitted: 1, buildsLost: 1, savedMs: 1, savedBytes: 1, spentMs: 1 },
    buildsEnded: { succeeded: 1 },
    steps: { hit: 1 },
    misses: { files: 1 },
  },
};
const room = { bytes: 1, maxBytes: 2 };
const builderState = { slots: 4, draining: false, rooms: { snapshots: room, mounts: room }, diskFreeBytes: 3 };

async function scraped(): Promise<{ readonly types: Map<string, string>; readonly text: string }> {
  const api = new ApiMetrics();
  api.opened();
  api.ended({ method: 'GET', route: '/v1/builds', status: 200, seconds: 0.1 });
  const builder = new BuilderMetrics(() => Promise.resolve(builderState));
  const text = `${await api.text({ postgres: true, redis: true }, state)}\n${await builder.text()}`;
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  return { types, text };
}
/** What an expression asks for, a histogram by its own name. */
const named = (expr: string): readonly string[] =>
  [...expr.matchAll(/\b(?:kiln|process|nodejs)_[a-z0-9_]+/g)].map(([name]) =>
    name.replace(/_seconds_(?:bucket|count|sum)$/, '_seconds'),
  );

describe('figures', () => {
  it('are those that the docs list, with their types', async () => {
    const listed = [...docs.matchAll(/^\| `(kiln_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => [name, type]);
    const { types } = await scraped();
    expect(listed.sort()).toEqual([...types].filter(([name]) => name.startsWith('kiln_')).sort());
  });

  it('are all that dashboard and alerts ask for', async () => {
    const { types } = await scraped();
    const asked = [...panels, ...rules].flatMap(({ expr }) => named(expr));
    expect(asked.length).toBeGreaterThan(40);
    expect([...new Set(asked)].filter((name) => !types.has(name))).toEqual([]);
  });

  it('have labels that dashboard and alerts ask for', async () => {
    const { text } = await scraped();
    const labels = (name: string): ReadonlySet<string> =>
      new Set(
        [...text.matchAll(new RegExp(`^${name}(?:_bucket|_count|_sum)?\\{([^}]*)\\}`, 'gm'))].flatMap(([, all = '']) =>
          [...all.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
        ),
      );
    const known = (name: string): ReadonlySet<string> => new Set([...labels(name), 'job', 'instance']);
    for (const { expr } of [...panels, ...rules]) {
      for (const [, name = '', matchers = ''] of expr.matchAll(/\b(kiln_\w+)\{([^}]*)\}/g)) {
        const own = known(name.replace(/_seconds_(?:bucket|count|sum)$/, '_seconds'));
        for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
          expect([expr, own.has(label)]).toEqual([expr, true]);
      }
    }
  });

  it('begin with what has not happened yet', async () => {
    const { text } = await scraped();
    for (const unborn of [
      'kiln_misses_total{cause="evicted"}',
      'kiln_misses_total{cause="variable"}',
      'kiln_builds_ended_total{outcome="cancelled"}',
      'kiln_builder_build_duration_seconds_count{outcome="failed"}',
      'kiln_builder_step_duration_seconds_count{outcome="run"}',
    ])
      expect(text).toContain(`\n${unborn} 0\n`);
  });

  it('have an answer to each alert', () => {
    const headings = [...docs.matchAll(/^### (Kiln\w+)$/gm)].map(([, name]) => name);
    expect(rules.map(({ alert }) => alert)).toEqual(headings);
    for (const { alert, annotations } of rules)
      expect(annotations.runbook_url).toBe(`docs/metrics.md#${alert.toLowerCase()}`);
  });
});
