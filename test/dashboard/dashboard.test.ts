import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CacheGrowth, CacheReruns, CacheSeries } from '#protocol';
import { OidcIssuer } from '#testing';
import { EmbeddedFarm } from '../farm/embedded-farm.ts';
import { expectAccessible, shoot, startBrowser } from './browser.ts';
import { describeFirstLoads } from './first-loads.ts';
import { describeOidcSignIn } from './oidc-sign-in.ts';
import { describeRuns } from './runs.ts';
import { describeSettingsForms } from './settings-forms.ts';

const LONG = process.env['KILN_TEST_LENGTH'] === 'long';
/** Of about 100 bytes. */
const BIG_LINES = LONG ? 1_000_000 : 60_000;
/** Screens on which every page is looked at. */
const looks = [
  [2560, 1440, 'light'],
  [360, 740, 'dark'],
  ...(LONG
    ? ([
        [2560, 1440, 'dark'],
        [360, 740, 'light'],
      ] as const)
    : []),
] as const;

let farm: EmbeddedFarm;
let issuer: OidcIssuer;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let url: string;
const faults: string[] = [];

const dir = (): string => join(farm.dir, 'app');
async function write(files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dir(), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir(), name), text);
}
const build = (tag: string) =>
  farm.kiln('build', dir(), '-t', tag, '--branch', 'main', '--source-message', `build ${tag}`);
const link = async (): Promise<string> =>
  z.object({ url: z.string() }).parse(JSON.parse((await farm.succeed('dashboard', '--json')).stdout)).url;

beforeAll(async () => {
  issuer = await OidcIssuer.start();
  farm = await EmbeddedFarm.create({
    KILN_OIDC_EGRESS_ALLOW: '127.0.0.1',
    KILN_SIGNIN_OIDC_ISSUER: issuer.url,
    KILN_SIGNIN_OIDC_CLIENT_ID: 'kiln',
    KILN_SIGNIN_OIDC_CLIENT_SECRET: 's3cret',
    KILN_SIGNIN_OIDC_NAME: 'Acme',
  });
  await write({
    Dockerfile: [
      'FROM busybox:1',
      'WORKDIR /app',
      'COPY a.txt .',
      String.raw`RUN printf '\033[31mred words\033[0m\n'; for n in $(seq 1 3000); do echo "line $n of the log"; done; cp a.txt b.txt`,
      'RUN sleep 2; cat b.txt',
    ].join('\n'),
    'a.txt': 'one\n',
  });
  await build('acme/web:1');
  await write({ 'a.txt': 'two\n' });
  await build('acme/web:2');
  ({ url } = (await farm.status()).api);
  browser = await startBrowser();
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  page = await context.newPage();
  page.on('pageerror', ({ message }) => faults.push(message));
  page.on('console', (said) => {
    if (/Content Security Policy|Refused to/.test(said.text())) faults.push(said.text());
  });
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  // What a locator waited for in vain says nothing of what was there in its place.
  console.log(`${task.name}: ${page.url()}: ${(await page.getByRole('alert').allInnerTexts()).join('; ')}`);
  await shoot(page, 'left-by-a-failure');
});
afterAll(async () => {
  await browser?.close();
  await farm[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

const text = (wanted: string | RegExp) => page.getByText(wanted).first();

describe('the files', () => {
  it('come compressed, by their tags, and no others', async () => {
    const index = await fetch(`${url}/`, { headers: { 'accept-encoding': 'br' } });
    expect([index.status, index.headers.get('cache-control')]).toEqual([200, 'no-cache']);
    expect(index.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'self'/);
    const html = await index.text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son[a-z]+=/);
    const [, asset = ''] = /src="(\/assets\/[^"]+\.js)"/.exec(html) ?? [];
    const script = await fetch(`${url}${asset}`, { method: 'HEAD', headers: { 'accept-encoding': 'gzip, br' } });
    expect(script.headers.get('content-encoding')).toBe('br');
    expect(script.headers.get('cache-control')).toContain('immutable');
    const again = await fetch(`${url}${asset}`, {
      headers: { 'accept-encoding': 'br', 'if-none-match': script.headers.get('etag') ?? '' },
    });
    expect([again.status, (await fetch(`${url}/b/x`)).status]).toEqual([304, 200]);
    for (const path of [
      '/assets/..%2f..%2fapps/api/src/main.js',
      '/../package.json',
      '/assets/',
      '/b/x/y',
      '/index.html',
    ])
      expect([path, (await fetch(`${url}${path}`)).status]).toEqual([path, 404]);
  });
});

describe('signing in', () => {
  it('is asked of who comes without a session, and says what to do', async () => {
    await page.goto(`${url}/?state=failed`);
    await page.getByRole('heading', { name: 'Sign in to Kiln' }).waitFor();
    await expectAccessible(page);
    await shoot(page, 'sign-in');
    await page.getByLabel('Token').fill('kiln_wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').innerText()).toContain('unknown');
  });

  it('takes the link of kiln dashboard, once', async () => {
    const once = await link();
    await page.goto(once);
    await page.getByRole('heading', { name: 'Builds' }).waitFor();
    expect(page.url()).not.toContain('code=');
    const other = await browser.newContext();
    const late = await other.newPage();
    await late.goto(once);
    await late.getByText('this link has been used').waitFor();
    await other.close();
  });
});

describe('the list of builds', () => {
  it('has builds as they come, run and end', async () => {
    await page.goto(`${url}/`);
    await page.getByRole('link', { name: 'acme/web:2' }).waitFor();
    await write({ 'a.txt': 'three\n' });
    const building = build('acme/web:3');
    const row = page.getByRole('row').filter({ hasText: 'acme/web:3' });
    await row.getByText('running').waitFor();
    await shoot(page, 'builds-running');
    await row.getByText('succeeded').waitFor();
    expect((await building).code).toBe(0);
    await expectAccessible(page);
    await shoot(page, 'builds');
  });

  it('is filtered by the URL, and says where nothing fits', async () => {
    await page.getByLabel('Branch').fill('nowhere');
    await text('No build is like that').waitFor();
    expect(page.url()).toContain('branch=nowhere');
    await page.reload();
    await text('No build is like that').waitFor();
    await page.getByRole('link', { name: 'All builds' }).click();
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
  });
});

describe('the projects of a team', () => {
  it('are chosen where there are several, and told beside each other', async () => {
    await page.goto(`${url}/`);
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    expect(await page.getByLabel('Project').count()).toBe(0);
    await farm.succeed('project', 'create', 'side');
    await page.reload();
    const own = await page.getByLabel('Project').inputValue();
    await page.getByLabel('Project').selectOption('side');
    await text('No build').waitFor();
    expect(page.url()).toContain('project=side');
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor({ state: 'detached' });
    await page.goto(`${url}/cache?project=side`);
    await text('No build has ended in this time').waitFor();
    const beside = page.getByRole('region', { name: 'By project' });
    await beside.getByRole('link', { name: own }).waitFor();
    await expectAccessible(page);
    await shoot(page, 'cache-project');
    await beside.getByRole('link', { name: own }).click();
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    expect(page.url()).toContain(`project=${own}`);
    await shoot(page, 'builds-project');
  });

  it('have builds that are looked at from another, and left alone', async () => {
    const may = ['--permission', 'build', '--permission', 'read'];
    const { stdout: token } = await farm.succeed('token', 'create', 'side', '--project', 'side', ...may);
    const answer = await fetch(`${url}/v1/builds?tag=acme/side:1`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.trim()}`, 'content-type': 'application/x-tar' },
      body: execFileSync('tar', ['-C', dir(), '-c', '.']),
    });
    expect(answer.status).toBe(202);
    await page.goto(`${url}/?project=side`);
    await page.getByRole('link', { name: 'acme/side:1' }).click();
    await page.getByRole('heading', { name: 'acme/side:1' }).waitFor();
    await text('line 3000 of the log').waitFor();
    await page.getByRole('article').getByText('succeeded').first().waitFor();
    expect(await page.getByRole('button', { name: /Retry|Cancel/ }).count()).toBe(0);
    expect(await page.getByRole('alert').count()).toBe(0);
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Graph' }).click();
    await page.getByRole('region', { name: 'Graph of the steps' }).waitFor();
    await shoot(page, 'build-project');
    await page.goto(`${url}/`);
  });
});

describe('a build', () => {
  it('tells its steps, why they missed, and the file that changed', async () => {
    await page.getByRole('link', { name: 'acme/web:3' }).click();
    await page.getByRole('heading', { name: 'acme/web:3' }).waitFor();
    const copy = page.getByRole('button', { name: /COPY a\.txt/ });
    await copy.click();
    await page.getByText('a.txt changed').first().waitFor();
    await page
      .getByRole('link', { name: /^build / })
      .first()
      .waitFor();
    await expectAccessible(page);
    await shoot(page, 'build');
  });

  it('draws which step stands on which, and is opened from there', async () => {
    await page.getByRole('button', { name: 'Graph' }).click();
    await page.getByRole('region', { name: 'Graph of the steps' }).waitFor();
    const nodes = page.locator('.graph .node');
    await nodes.nth(4).waitFor();
    await page.getByRole('button', { name: /RUN sleep 2; cat b\.txt, run/ }).focus();
    await page.keyboard.press('Enter');
    expect(page.url()).toMatch(/view=graph/);
    await page.locator('li.open', { hasText: 'RUN sleep 2' }).waitFor();
    await expectAccessible(page);
    await shoot(page, 'build-graph');
    await page.getByRole('button', { name: 'Graph' }).click();
  });

  it('has the layers with the steps that made them, its provenance, and what changed since', async () => {
    await page.getByRole('region', { name: 'Layers by step' }).getByRole('link', { name: '4/5' }).waitFor();
    await page.getByRole('region', { name: 'Materials' }).getByText('docker.io/library/busybox').waitFor();
    const since = page.getByRole('link', { name: /^what changed since build/ });
    expect(await since.getAttribute('href')).toContain('?with=sha256:');
  });

  it('has its log, with colours, search and links to lines', async () => {
    await page.getByRole('button', { name: 'All steps' }).click();
    await text('line 3000 of the log').waitFor();
    await page.getByLabel('Search the log').fill('line 1777 of');
    await text('1 found').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.line.here', { hasText: 'line 1777 of the log' }).waitFor();
    expect(page.url()).toMatch(/line=\d+/);
    expect(await page.getByLabel('Follow').isChecked()).toBe(false);
    await shoot(page, 'log');
    await page.goto(
      page
        .url()
        .replace(/find=[^&]*/, 'find=red')
        .replace(/line=\d+/, 'line=1'),
    );
    await page.locator('.ansi-red', { hasText: 'red' }).waitFor();
    // As many as are seen, however long the log is.
    expect(await page.locator('.line').count()).toBeLessThan(200);
  });

  it('is told while it fails', async () => {
    await write({ Dockerfile: 'FROM busybox:1\nRUN sleep 1; echo no >&2; exit 3\n' });
    await build('acme/web:bad');
    await page.goto(`${url}/?state=failed`);
    await page.getByRole('link', { name: 'acme/web:bad' }).click();
    await page.getByRole('region', { name: 'Why it failed' }).waitFor();
    await expectAccessible(page);
    await shoot(page, 'build-failed');
  });
});

describeRuns(() => ({ page, url, kiln: (...args) => farm.kiln(...args) }));

describe('images', () => {
  it('are found by their names, and show what their layers hold', async () => {
    await page.goto(`${url}/images`);
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    await page.getByRole('img', { name: /^Size of the images/ }).waitFor();
    await expectAccessible(page);
    await shoot(page, 'images');
    await page.getByRole('row').filter({ hasText: 'acme/web:3' }).getByRole('link').first().click();
    await page.getByRole('heading', { name: 'acme/web:3' }).waitFor();
    await page.getByRole('button', { name: /^Layer 4, .*cp a\.txt b\.txt/ }).click();
    await page.getByRole('region', { name: 'Layer 4' }).getByText('/app/b.txt').waitFor();
    expect(page.url()).toMatch(/layer=[0-9a-f]{12}/);
    await page.getByRole('region', { name: 'History' }).getByText('RUN /bin/sh -c sleep 2; cat b.txt').waitFor();
    await expectAccessible(page);
    await shoot(page, 'image');
  });

  it('are compared, tagged and removed', async () => {
    await page.getByLabel('Other image').selectOption({ index: 1 });
    await page.getByRole('region', { name: 'Changes' }).getByText('/app/a.txt').waitFor();
    await text(/0 added, 0 removed, 2 changed/).waitFor();
    await expectAccessible(page);
    await shoot(page, 'image-compared');
    // The next name is begun before the farm has answered, and stays.
    const typed = Promise.withResolvers<undefined>();
    await page.route('**/tag', async (asked) => {
      await typed.promise;
      await asked.continue();
    });
    await page.getByLabel('One more name').fill('acme/web:kept');
    await page.getByRole('button', { name: 'Tag' }).click();
    await page.getByLabel('One more name').fill('ACME');
    typed.resolve(undefined);
    await text('Also called acme/web:kept').waitFor();
    await page.unroute('**/tag');
    await page.getByRole('button', { name: 'Tag' }).click();
    await page.getByRole('alert').getByText('not an image name').waitFor();
    await page.goto(`${url}/images?name=acme/web:1`);
    await page.getByRole('row').filter({ hasText: 'acme/web:1' }).getByRole('link').first().click();
    page.once('dialog', (asked) => void asked.accept());
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    expect(await page.getByRole('link', { name: 'acme/web:1' }).count()).toBe(0);
  });
});

describe('a long log', () => {
  it('is shown, its end and what is searched near it, in little memory', async () => {
    await write({
      Dockerfile: `FROM busybox:1\nRUN seq 1 ${BIG_LINES} | awk '{ printf "line %07d of a long log, %070d\\n", $1, 0 }'\n`,
    });
    expect((await build('acme/web:long')).code).toBe(0);
    await page.goto(`${url}/?text=web:long`);
    await page.getByRole('link', { name: 'acme/web:long' }).click();
    const wanted = (line: number): string => `line ${String(line).padStart(7, '0')} of a long log`;
    // Follows to the end.
    await page.locator('.line', { hasText: wanted(BIG_LINES) }).waitFor({ timeout: 120_000 });
    await page.getByLabel('Search the log').fill(wanted(BIG_LINES - 17));
    await text('1 found').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.line.here', { hasText: wanted(BIG_LINES - 17) }).waitFor();
    await page.getByLabel('Search the log').fill('a long log');
    await text('1,000 and more found').waitFor();
    // Who searches on stays where he is.
    expect(await page.locator('.line.here').isVisible()).toBe(true);
    expect(await page.locator('.line').count()).toBeLessThan(200);
    await shoot(page, 'log-long');
    await expectAccessible(page);
    const client = await context.newCDPSession(page);
    await client.send('HeapProfiler.collectGarbage');
    const { usedSize } = await client.send('Runtime.getHeapUsage');
    console.log(`log of ${BIG_LINES} lines: ${Math.round(usedSize / 1e6)} MB in the browser`);
    expect(usedSize).toBeLessThan(100e6 + BIG_LINES * 500);
  });
});

describe('the other pages', () => {
  it.each([
    ['cache', 'Hit ratio'],
    ['farm', 'Platforms'],
    ['settings', 'Create token'],
    ['settings/audit', 'What'],
    ['settings/webhooks', 'Nobody is told of builds'],
  ])('%s', async (path, wanted) => {
    await page.goto(`${url}/${path}`);
    await text(wanted).waitFor();
    await page.waitForLoadState('networkidle').catch(() => undefined);
    await expectAccessible(page);
    await shoot(page, path.replace('/', '-'));
  });
});

describe('the cache', () => {
  it('tells of all the days that were asked for', async () => {
    const limits = new Set<string | null>();
    page.on('request', (asked) => {
      const { searchParams } = new URL(asked.url());
      if (searchParams.get('by') === 'day') limits.add(searchParams.get('limit'));
    });
    await page.goto(`${url}/cache?days=30`);
    await page.getByRole('region', { name: 'By day' }).waitFor();
    expect([...limits]).toEqual(['30']);
  });

  const asked = async <T>(schema: z.ZodType<T>, path: string): Promise<T> =>
    schema.parse(await (await page.request.get(`${url}/v1/cache/${path}`)).json());

  it('draws a line for each branch, and has the numbers of the API to the last digit', async () => {
    await page.goto(`${url}/cache?days=30&measure=saved`);
    await page.getByRole('img', { name: 'Time saved by branch, day by day' }).locator('canvas').waitFor();
    await page.getByRole('group').filter({ hasText: 'The same in numbers' }).first().locator('summary').click();
    const numbers = page.getByRole('region', { name: 'Time saved by branch' });
    await numbers.waitFor();
    const { groups } = await asked(CacheSeries, 'statistics/series?days=30&by=branch&limit=6');
    const exact = ({ hits, joined, misses, savedMs, spentMs }: CacheSeries['total']): string =>
      `${hits} hit, ${joined} joined, ${misses} run; ${savedMs} ms saved, ${spentMs} ms spent`;
    const main = groups.find(({ name }) => name === 'main');
    expect([main?.days.length, main?.total.misses ?? 0]).toEqual([1, expect.toSatisfy((misses) => misses > 3)]);
    for (const { total: own, days } of groups) {
      await page
        .locator(`.lines-shown td[title="${exact(own)}"]`)
        .first()
        .waitFor();
      for (const day of days)
        await numbers
          .locator(`td[title="${exact(day)}"]`)
          .first()
          .waitFor();
    }
    await expectAccessible(page);
    await shoot(page, 'cache-series');
    await page.getByLabel('Lines').selectOption('by cause');
    await page.getByRole('img', { name: 'Misses by cause, day by day' }).waitFor();
    expect(page.url()).toContain('by=cause');
    await page.getByLabel('Lines').selectOption('by project');
    await page.locator('.lines-shown').getByRole('link', { name: 'side' }).waitFor();
    await page.goto(`${url}/cache?days=30&by=branch&measure=misses`);
    await page.locator('.lines-shown').getByRole('link', { name: 'main' }).click();
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    expect(page.url()).toMatch(/branch=main.*outcome=miss/);
  });

  it('tells what was evicted, what that cost, and which steps give other bytes', async () => {
    await write({ Dockerfile: 'FROM busybox:1\nRUN head -c 9 /dev/urandom > /random' });
    await farm.succeed('build', dir());
    await farm.succeed('cache', 'prune', '-f');
    await farm.succeed('build', dir());
    const reruns = CacheReruns.parse(JSON.parse((await farm.succeed('cache', 'reruns', '--json')).stdout));
    expect(reruns).toEqual(await asked(CacheReruns, 'reruns'));
    const [random] = reruns.steps;
    expect(random).toMatchObject({ step: 'RUN head -c 9 /dev/urandom > /random', same: 0, different: 1 });
    const { total } = await asked(CacheGrowth, 'growth');
    expect([total.evicted.results, total.missed.steps]).toEqual([expect.toSatisfy((count) => count > 3), 1]);
    await page.goto(`${url}/cache?days=30`);
    await page.getByRole('img', { name: 'What the cache held and what was evicted, day by day' }).waitFor();
    const { bytes, costMs } = total.evicted;
    await page.locator(`.lines-shown td[title="${bytes} bytes, made in ${costMs} ms"]`).waitFor();
    const differing = page.getByRole('region', { name: 'Steps that gave other bytes' });
    await differing.getByRole('link', { name: random?.last?.earlierBuildId ?? '' }).waitFor();
    await expectAccessible(page);
    await page.getByRole('link', { name: '1 step', exact: true }).click();
    await page.locator(`a[href^="/b/${random?.last?.buildId}"]`).first().waitFor();
    expect(page.url()).toContain('cause=evicted');
  });
});

describe('webhooks', () => {
  it('are made, with the fault at the field, switched off and removed', async () => {
    await page.goto(`${url}/settings/webhooks`);
    await page.getByLabel('URL of the new webhook').fill('ftp://example.com');
    await page.getByRole('button', { name: 'Create webhook' }).click();
    await page.getByRole('alert').getByText('a URL of http or https').waitFor();
    await page.getByLabel('URL of the new webhook').fill('http://127.0.0.1:1/hook');
    await page.getByRole('button', { name: 'Create webhook' }).click();
    await text(/^whsec_/).waitFor();
    const row = page.getByRole('row').filter({ hasText: '127.0.0.1:1/hook' });
    await row.getByRole('button', { name: 'Ping' }).click();
    await row.getByRole('button', { name: 'Deliveries' }).click();
    await page.getByRole('button', { name: 'Send again' }).first().waitFor();
    await expectAccessible(page);
    await shoot(page, 'webhooks');
    await row.getByRole('button', { name: 'Switch off' }).click();
    await row.getByRole('button', { name: 'Switch on' }).waitFor();
    page.once('dialog', (asked) => void asked.accept());
    await row.getByRole('button', { name: /^Remove/ }).click();
    await text('Nobody is told of builds').waitFor();
  });
});

describeSettingsForms(() => ({ page, url }));

describe('members', () => {
  it('are taken in, given a role and let go', async () => {
    await page.goto(`${url}/settings/members`);
    await page.getByLabel('Name of the new member').fill('grace');
    await page.getByRole('button', { name: 'Add member' }).click();
    const role = page.getByLabel('Role of grace');
    await role.selectOption('viewer');
    await expect.poll(() => role.inputValue()).toBe('viewer');
    await expectAccessible(page);
    await shoot(page, 'members');
    page.once('dialog', (asked) => void asked.accept());
    await page.getByRole('button', { name: 'Remove grace' }).click();
    await role.waitFor({ state: 'detached' });
  });
});

describeOidcSignIn(() => ({ browser, page, url, issuer }));

describeFirstLoads(() => ({ browser, context, url }));

describe('however it is seen', () => {
  it('is light or dark, on 360 pixels and on 2560', async () => {
    await page.goto(`${url}/images?name=acme/web`);
    const row = page.getByRole('row').filter({ hasText: 'acme/web:3' });
    const image = await row.locator('a[href^="/images/sha256"]').getAttribute('href');
    const build = await row.locator('a[href^="/b/"]').getAttribute('href');
    const shown = {
      builds: '/',
      build: `${build}?step=3`,
      cache: '/cache',
      images: '/images',
      image,
      farm: '/farm',
      tokens: '/settings/tokens',
    };
    for (const [name, path] of Object.entries(shown)) {
      await page.goto(`${url}${path}`);
      await page.getByRole('region').first().waitFor();
      for (const [width, height, colorScheme] of looks) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height });
        expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, width]);
        await shoot(page, `${name}-${width}-${colorScheme}`);
      }
      await expectAccessible(page);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  it('is used by the keyboard alone', async () => {
    await page.goto(`${url}/`);
    await page.getByRole('link', { name: 'acme/web:3' }).waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
    for (let pressed = 0; pressed < 40; pressed++) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate('document.activeElement.textContent')) === 'acme/web:3') break;
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'acme/web:3' }).waitFor();
  });

  it('tells who comes to no page where the others are', async () => {
    expect((await page.goto(`${url}/nowhere`))?.status()).toBe(404);
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
    expect(await page.title()).toBe('No such page · Kiln');
    await page.goto(`${url}/b/nothing`);
    await page.getByRole('alert').getByRole('link', { name: 'All builds' }).click();
    await page.getByRole('link', { name: 'acme/web:3' }).click();
    await expect.poll(() => page.title()).toBe('acme/web:3 succeeded · Kiln');
  });

  it('ends with signing out', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in to Kiln' }).waitFor();
    expect((await context.request.get(`${url}/v1/me`)).status()).toBe(401);
  });

  it('broke nothing on the way', () => {
    expect(faults).toEqual([]);
  });
});
