import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '#testing';
import { parse } from 'yaml';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { promtool } from './promtool.ts';

const TOKEN = 'an-operators-token';
const stack = new AsyncDisposableStack();
let farm: Farm;
let url: string;
beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}/metrics`;
  farm = stack.use(
    await Farm.start({ builder: { KILN_METRICS_LISTEN: `127.0.0.1:${port}`, KILN_METRICS_TOKEN: TOKEN } }),
  );
});
afterAll(() => stack.disposeAsync());

async function scrape(from: string, token: string): Promise<string> {
  return await (await fetch(from, { headers: { authorization: `Bearer ${token}` } })).text();
}
async function figures(): Promise<(name: string) => number> {
  const text = await scrape(url, TOKEN);
  return (name) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length + 1),
    );
}
/** What is told of a build is told before it is counted. */
async function counted(name: string, count: number): Promise<(name: string) => number> {
  await expect.poll(async () => (await figures())(name), { timeout: 10_000 }).toBe(count);
  return await figures();
}

describe('a builder’s figures', () => {
  it('count what its builds did', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nCOPY file /\nRUN cp /file /other\n', file: 'x' });
    await farm.build(dir);
    const first = await counted('kiln_builder_builds_total{outcome="succeeded"}', 1);
    expect(first('kiln_builder_steps_total{outcome="run"}')).toBe(2);
    expect(first('kiln_builder_steps_total{outcome="hit"}')).toBe(0);
    expect(first('kiln_builder_bytes_total{way="pulled"}')).toBeGreaterThan(0);
    expect(first('kiln_builder_step_duration_seconds_count{outcome="run"}')).toBe(2);

    await farm.build(dir);
    const second = await counted('kiln_builder_builds_total{outcome="succeeded"}', 2);
    expect(second('kiln_builder_steps_total{outcome="run"}')).toBe(2);
    expect(second('kiln_builder_steps_total{outcome="hit"}')).toBe(2);
    expect(second('kiln_builder_saved_seconds_total')).toBeGreaterThan(0);

    await write(dir, { Dockerfile: 'FROM box:1\nRUN exit 3\n' });
    const { code } = await farm.cli(['build', dir]).ended;
    expect(code).toBe(1);
    const third = await counted('kiln_builder_builds_total{outcome="failed"}', 1);
    expect(third('kiln_builder_steps_total{outcome="failed"}')).toBe(1);
    expect(third('kiln_builder_builds_running{kind="build"}')).toBe(0);
  });
});

const infra = (path: string): string => fileURLToPath(new URL(`../../infra/${path}`, import.meta.url));
const Alerts = z.object({ groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string() })) })) });
const AlertTest = z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()).default([]) });
const AlertTests = z.object({ tests: z.array(z.object({ alert_rule_test: z.array(AlertTest).default([]) })) });
const fires = (test: z.infer<typeof AlertTest>): boolean => test.exp_alerts.length > 0;
/** As Grafana sends it. */
const filled = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:job|instance)\b/g, 'kiln.*');
const Dashboard = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).default([]) })),
});

describe('Prometheus’ own checker', () => {
  it('has nothing against the figures', async () => {
    for (const text of [await scrape(`${farm.url}/metrics`, farm.token), await scrape(url, TOKEN)]) {
      expect(text).toContain('# TYPE kiln_');
      expect(await promtool(['check', 'metrics'], text)).toBe('');
    }
  });

  it('has nothing against what Prometheus is to ask', async () => {
    await promtool(['check', 'config', '--syntax-only', infra('prometheus/scrape.yml')]);
  });

  it('sees each alert fire where it should, and only there', async () => {
    await promtool(['check', 'rules', infra('prometheus/alerts.yml')]);
    await promtool(['test', 'rules', infra('prometheus/alerts.test.yml')]);
    const { groups } = Alerts.parse(parse(await readFile(infra('prometheus/alerts.yml'), 'utf8')));
    const { tests } = AlertTests.parse(parse(await readFile(infra('prometheus/alerts.test.yml'), 'utf8')));
    const cases = tests.flatMap((each) => each.alert_rule_test);
    for (const { alert } of groups.flatMap(({ rules }) => rules)) {
      const own = cases.filter(({ alertname }) => alertname === alert);
      expect([alert, own.some(fires), own.some((each) => !fires(each))]).toEqual([alert, true, true]);
    }
  });

  it('reads each expression of the dashboard', async () => {
    const { panels } = Dashboard.parse(JSON.parse(await readFile(infra('grafana/kiln.json'), 'utf8')));
    const asked = panels.flatMap(({ targets }) => targets.map(({ expr }) => filled(expr)));
    expect(asked.filter((expr) => expr.includes('$'))).toEqual([]);
    const rules = join(farm.dir, 'dashboard.yml');
    const named = asked.map((expr, index) => ({ record: `panel:${index}`, expr }));
    await writeFile(rules, JSON.stringify({ groups: [{ name: 'dashboard', rules: named }] }));
    expect(await promtool(['check', 'rules', rules])).toContain(`SUCCESS: ${asked.length} rules found`);
  });
});
