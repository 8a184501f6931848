import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { EmbeddedFarm } from '../farm/embedded-farm.ts';
import { expectAccessible, shoot } from './browser.ts';

/** Where what `kiln run` ran is looked at. */
export interface Ran {
  readonly page: Page;
  readonly url: string;
  readonly kiln: EmbeddedFarm['kiln'];
}

export function describeRuns(ran: () => Ran): void {
  describe('what was run in a container', () => {
    it('is told by its image and command, with what it said and its exit code, and as no image', async () => {
      const { page, url, kiln } = ran();
      const [good, bad] = await Promise.all([
        kiln('run', 'busybox:1', 'echo', 'said', 'aloud'),
        kiln('run', 'busybox:1', 'sh', '-c', 'echo no more >&2; exit 7'),
      ]);
      expect([good.code, good.stdout, bad.code]).toEqual([0, 'said aloud\n', 7]);
      await page.goto(`${url}/?text=busybox`);
      const row = page.getByRole('row').filter({ hasText: 'echo said aloud' });
      await row.getByText('succeeded').waitFor();
      await row.getByRole('link', { name: 'run busybox:1' }).click();
      await page.getByRole('heading', { name: 'run busybox:1' }).waitFor();
      const fact = (name: string) => page.locator('dl > div', { has: page.getByText(name, { exact: true }) });
      await fact('Exit code').getByText('0', { exact: true }).waitFor();
      await fact('Command').getByText('echo said aloud').waitFor();
      await page.locator('.line', { hasText: 'said aloud' }).waitFor();
      for (const name of ['Image', 'Saved', 'Steps', 'Context', 'Pushed']) expect(await fact(name).count()).toBe(0);
      for (const name of ['Layers', 'Provenance'])
        expect(await page.getByRole('region', { name, exact: true }).count()).toBe(0);
      await expectAccessible(page);
      await shoot(page, 'run');
      await page.goto(`${url}/?state=failed`);
      await page.getByRole('row').filter({ hasText: 'no more' }).getByRole('link', { name: 'run busybox:1' }).click();
      await fact('Exit code').getByText('7', { exact: true }).waitFor();
      await page.getByRole('region', { name: 'Why it failed' }).getByText('no more').first().waitFor();
      await shoot(page, 'run-failed');
    });
  });
}
