import type { Browser, BrowserContext, Request } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

/** Of script, as it is sent, until a page that nobody has seen before is at rest. */
const MAX_BYTES = 200_000;
/** No page is without these: a measure that misses them measures nothing. */
const MIN_BYTES = 50_000;

export interface Loaded {
  readonly browser: Browser;
  /** of somebody who is signed in */
  readonly context: BrowserContext;
  readonly url: string;
}

export function describeFirstLoads(loaded: () => Loaded): void {
  describe('the first load', () => {
    it('of every page has little script', async () => {
      const weighed: Weight[] = [];
      // One after the other: how soon there is something to see is told, too.
      for (const opened of await pagesOf(loaded())) weighed.push(await weigh(loaded(), opened));
      console.table(weighed);
      for (const { path, bytes } of weighed) {
        expect([path, bytes > MIN_BYTES]).toEqual([path, true]);
        expect([path, bytes < MAX_BYTES]).toEqual([path, true]);
      }
    });
  });
}

/** The address of a page, and what is on it that comes last. */
type Opened = readonly [path: string, last: string];
const Images = z.object({ images: z.array(z.object({ digest: z.string() })) });
const Builds = z.object({ builds: z.array(z.object({ id: z.string() })) });

/** Every page that there is, with all that it loads where it is opened so. */
async function pagesOf({ context, url }: Loaded): Promise<readonly Opened[]> {
  const get = async (path: string): Promise<unknown> => await (await context.request.get(`${url}${path}`)).json();
  const [build] = Builds.parse(await get('/v1/builds?image=acme/web&state=succeeded&limit=1')).builds;
  const [image, other] = Images.parse(await get('/v1/images?name=acme/web&limit=2')).images;
  return [
    ['/sign-in', 'form'],
    ['/', 'table.builds'],
    [
      `/b/${build?.id}?view=graph`,
      'article:has(.node):has([aria-label="Layers"] td):has([aria-label="Materials"] td):has(.line)',
    ],
    ['/cache', '.chart canvas'],
    ['/images?name=acme/web', '.chart canvas'],
    [
      `/images/${image?.digest}?with=${other?.digest}`,
      'article:has(svg[aria-label="Layers by size"]):has([aria-label="Changes"])',
    ],
    ['/farm', 'table'],
    ['/settings', 'table'],
  ];
}

interface Weight {
  readonly path: string;
  readonly bytes: number;
  /** ms after which there was something to see */
  readonly firstContentMs: number;
}

/** In a browser that has loaded nothing yet. */
async function weigh({ browser, context, url }: Loaded, [path, last]: Opened): Promise<Weight> {
  const storageState = path === '/sign-in' ? undefined : await context.storageState();
  const fresh = await browser.newContext(storageState === undefined ? {} : { storageState });
  const page = await fresh.newPage();
  const scripts: Promise<number>[] = [];
  page.on('request', (request) => {
    if (request.resourceType() === 'script') scripts.push(sentBytes(request));
  });
  await page.goto(`${url}${path}`);
  await page.locator(last).first().waitFor();
  await page.locator('.loading').first().waitFor({ state: 'detached' });
  // All parts of the settings together: none can be more.
  for (const part of await page.locator('nav[aria-label="Settings"] a').all()) {
    await part.click();
    await page.locator('.loading').first().waitFor({ state: 'detached' });
  }
  const bytes = (await Promise.all(scripts)).reduce((sum, each) => sum + each, 0);
  const painted = await page.evaluate('performance.getEntriesByName("first-contentful-paint")[0].startTime');
  await fresh.close();
  return {
    path: path.replace(/[0-9a-f]{64}/g, 'DIGEST'),
    bytes,
    firstContentMs: Math.round(z.number().parse(painted)),
  };
}

async function sentBytes(request: Request): Promise<number> {
  await (await request.response())?.finished();
  return (await request.sizes()).responseBodySize;
}
