import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { expectAccessible, shoot } from './browser.ts';

/** Where the forms are looked at: of somebody who administers the project. */
export interface Seen {
  readonly page: Page;
  readonly url: string;
}

/** What is shown at the width of a telephone, in the dark. */
async function narrowAndDark(page: Page, name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  await expectAccessible(page);
  await shoot(page, `${name}-360-dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 800 });
}

const accept = (page: Page): void => void page.once('dialog', (asked) => void asked.accept());

export function describeSettingsForms(seen: () => Seen): void {
  describe('trust rules', () => {
    it('are made from a template, by the keyboard, and tried before', async () => {
      const { page, url } = seen();
      await page.goto(`${url}/settings/trust-rules`);
      await page.getByRole('button', { name: 'New trust rule' }).focus();
      await page.keyboard.press('Enter');
      const form = page.getByRole('form', { name: 'New trust rule' });
      await form.waitFor();
      // Who opened it is in it at once.
      expect(await page.evaluate('document.activeElement.labels[0].textContent')).toBe('Begin with');
      await form.getByLabel('Begin with').selectOption('GitHub Actions: branches');
      await form.getByRole('button', { name: 'Create rule' }).click();
      await form.getByRole('alert').getByText('put your own in place of <owner>').waitFor();
      const claims = form.getByLabel('Claims', { exact: true });
      await claims.fill('ref: refs/heads/*');
      await form.getByRole('button', { name: 'Create rule' }).click();
      await form.getByRole('alert').getByText('others have tokens of this issuer too').waitFor();
      await claims.fill('repository: acme/web\nref: refs/heads/*\nevent_name: push');
      await form.getByText('Jobs with repository acme/web, ref refs/heads/* and event_name push').waitFor();
      await form.getByText('What would it admit?').click();
      await form.getByRole('button', { name: 'Try' }).click();
      await form.getByRole('status').getByText('branch/main').waitFor();
      await form.getByLabel('Claims of an id token').fill('{"repository": "acme/api", "ref": "refs/tags/v1"}');
      await form.getByRole('button', { name: 'Try' }).click();
      await form.getByText('acme/api', { exact: true }).waitFor();
      await expectAccessible(page);
      await shoot(page, 'trust-rule-form');
      await narrowAndDark(page, 'trust-rule-form');
      await form.getByRole('button', { name: 'Create rule' }).click();
      await page.getByRole('row').filter({ hasText: 'repository: acme/web' }).waitFor();
      await expectAccessible(page);
      await shoot(page, 'trust-rules');
    });

    it('are changed and removed', async () => {
      const { page } = seen();
      await page.getByRole('button', { name: /^Change GitHub Actions/ }).click();
      const form = page.getByRole('form', { name: /^Change/ });
      await form.getByLabel('Name').fill('branches of acme/web');
      await form.getByLabel('Inherits').fill('nowhere');
      await form.getByRole('button', { name: 'Save rule' }).click();
      await form.getByRole('alert').getByText('nowhere').waitFor();
      await form.getByLabel('Inherits').fill('');
      await form.getByRole('button', { name: 'Save rule' }).click();
      accept(page);
      await page.getByRole('button', { name: 'Remove branches of acme/web' }).click();
      await page.getByText('No CI system is trusted').waitFor();
    });
  });

  describe('credentials of registries', () => {
    it('are kept, replaced and forgotten, and never shown', async () => {
      const { page, url } = seen();
      await page.goto(`${url}/settings/registries`);
      await page.getByRole('button', { name: 'New credentials' }).click();
      const form = page.getByRole('form');
      await form.getByLabel('Registry').fill('GHCR.io/acme');
      await form.getByLabel('User').fill('ci');
      await form.getByLabel('Password or access token').fill('hunter2-hunter2');
      await form.getByRole('button', { name: 'Keep credentials' }).click();
      await form.getByRole('alert').getByText('a host in lower case').waitFor();
      await form.getByLabel('Registry').fill('ghcr.io');
      await expectAccessible(page);
      await shoot(page, 'registry-form');
      await narrowAndDark(page, 'registry-form');
      await form.getByRole('button', { name: 'Keep credentials' }).click();
      const row = page.getByRole('row').filter({ hasText: 'ghcr.io' });
      await row.getByText('protected or further').waitFor();
      await page.getByRole('button', { name: 'Replace ghcr.io' }).click();
      expect(await page.content()).not.toContain('hunter2');
      await form.getByLabel('Log in by').selectOption('identity token');
      await form.getByLabel('Identity token').fill('another');
      await form.getByLabel('For scopes trusted at least as').selectOption('branch');
      await form.getByRole('button', { name: 'Replace credentials' }).click();
      await row.getByText('branch or further').waitFor();
      await expectAccessible(page);
      accept(page);
      await page.getByRole('button', { name: 'Remove ghcr.io' }).click();
      await page.getByText('The project keeps no credentials').waitFor();
    });
  });

  describe('a webhook', () => {
    it('is sent elsewhere and told of other events, once that is confirmed', async () => {
      const { page, url } = seen();
      await page.goto(`${url}/settings/webhooks`);
      await page.getByLabel('URL of the new webhook').fill('http://127.0.0.1:1/one');
      await page.getByRole('button', { name: 'Create webhook' }).click();
      await page.getByRole('button', { name: 'Change http://127.0.0.1:1/one' }).click();
      const form = page.getByRole('form', { name: /^Change/ });
      await form.getByLabel('URL').fill('http://user@127.0.0.1:2/');
      accept(page);
      await form.getByRole('button', { name: 'Save webhook' }).click();
      await form.getByRole('alert').getByText('without user').waitFor();
      await form.getByLabel('URL').fill('https://hooks.invalid/two');
      await form.getByLabel('build.started').uncheck();
      await form.getByLabel('Name').fill('chat');
      await expectAccessible(page);
      await shoot(page, 'webhook-form');
      await narrowAndDark(page, 'webhook-form');
      page.once('dialog', (asked) => void asked.dismiss());
      await form.getByRole('button', { name: 'Save webhook' }).click();
      await form.waitFor();
      accept(page);
      await form.getByRole('button', { name: 'Save webhook' }).click();
      const row = page.getByRole('row').filter({ hasText: 'chat · https://hooks.invalid/two' });
      await row.getByText('build.succeeded, build.failed, build.cancelled').waitFor();
      accept(page);
      await row.getByRole('button', { name: /^Remove/ }).click();
      await page.getByText('Nobody is told of builds').waitFor();
    });
  });

  describe('the project', () => {
    it('shows its badge and its quotas', async () => {
      const { page, url } = seen();
      await page.goto(`${url}/settings/project`);
      await page.getByRole('region', { name: 'Quotas' }).getByText('Sent by clients').waitFor();
      await page.getByRole('button', { name: 'Show the badge' }).click();
      const badge = page.getByRole('region', { name: 'Badge' });
      await badge.getByText(/^\[!\[Kiln\]\(http.*badge\.svg\)\]/).waitFor();
      await badge.getByLabel('Of what').selectOption('build');
      await badge.getByText(/badge\.svg\?show=build\)/).waitFor();
      await expect.poll(() => page.evaluate('document.querySelector("section img").naturalWidth')).toBeGreaterThan(50);
      await expectAccessible(page);
      await shoot(page, 'settings-project');
      await narrowAndDark(page, 'settings-project');
      await page.getByRole('button', { name: 'Hide the badge' }).click();
      await page.getByRole('button', { name: 'Show the badge' }).waitFor();
      expect(await badge.getByRole('img').count()).toBe(0);
    });
  });

  describe('the audit log', () => {
    it('is read by what was done, as the address says', async () => {
      const { page, url } = seen();
      await page.goto(`${url}/settings/audit`);
      await page.getByLabel('What').selectOption('registry');
      await page.getByRole('cell', { name: 'registry.remove' }).waitFor();
      expect(await page.getByRole('cell', { name: 'badge.hide' }).count()).toBe(0);
      expect(page.url()).toContain('action=registry');
      await page.getByLabel(/^Who/).fill('nobody');
      await page.getByText('Nothing like that was done').waitFor();
      await narrowAndDark(page, 'settings-audit');
    });
  });
}
