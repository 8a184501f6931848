import type { Browser, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { OidcIssuer } from '#testing';
import { expectAccessible, shoot } from './browser.ts';

export interface Way {
  readonly browser: Browser;
  /** of an owner who is signed in */
  readonly page: Page;
  readonly url: string;
  readonly issuer: OidcIssuer;
}

export function describeOidcSignIn(way: () => Way): void {
  describe('signing in with an issuer', () => {
    it('refuses who is no member, lets in who has the address, and ends with the membership', async () => {
      const { browser, page, url, issuer } = way();
      issuer.pages.visitor = { claims: { sub: 'grace-1', email: 'grace@example.com', email_verified: true } };
      const context = await browser.newContext({ viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
      const theirs = await context.newPage();
      await theirs.goto(`${url}/settings/members`);
      await theirs.getByRole('link', { name: 'Sign in with Acme' }).click();
      await theirs.getByRole('alert').getByText('no member of a team here').waitFor();
      await expectAccessible(theirs);
      await shoot(theirs, 'sign-in-refused-360-dark');
      await page.goto(`${url}/settings/members`);
      await page.getByLabel('Name of the new member').fill('grace');
      await page.getByRole('button', { name: 'Add member' }).click();
      await page.getByRole('button', { name: 'E-mail of grace' }).click();
      await page.getByLabel('E-mail address').fill('Grace@example.com');
      await expectAccessible(page);
      await shoot(page, 'member-login');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('grace@example.com').waitFor();
      await theirs.goto(`${url}/settings/members`);
      await theirs.getByRole('link', { name: 'Sign in with Acme' }).click();
      // Back where the way began, in a session of the member's own.
      await theirs.getByRole('cell', { name: 'grace@example.com' }).waitFor();
      expect(theirs.url()).toBe(`${url}/settings/members`);
      expect(await theirs.getByRole('button', { name: 'Add member' }).count()).toBe(0);
      await theirs.goto(`${url}/settings/registries`);
      await theirs.getByText('Your role is developer').waitFor();
      await expectAccessible(theirs);
      page.once('dialog', (asked) => void asked.accept());
      await page.getByRole('button', { name: 'Remove grace' }).click();
      await page.getByText('grace@example.com').waitFor({ state: 'detached' });
      await theirs.goto(`${url}/`);
      await theirs.getByRole('heading', { name: 'Sign in to Kiln' }).waitFor();
      await context.close();
    });

    it('works in one project, then in another, and is signed out there, too', async () => {
      const { browser, page, url, issuer } = way();
      issuer.pages.visitor = { claims: { sub: 'hedy-1', email: 'hedy@example.com', email_verified: true } };
      await page.goto(`${url}/settings/members`);
      await page.getByLabel('Name of the new member').fill('hedy');
      await page.getByRole('button', { name: 'Add member' }).click();
      await page.getByLabel('Role of hedy').selectOption('maintainer');
      await page.getByRole('button', { name: 'E-mail of hedy' }).click();
      await page.getByLabel('E-mail address').fill('hedy@example.com');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByText('hedy@example.com').waitFor();
      const context = await browser.newContext({ viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
      const theirs = await context.newPage();
      await theirs.goto(`${url}/sign-in`);
      await theirs.getByRole('link', { name: 'Sign in with Acme' }).click();
      const place = theirs.getByLabel('Work in project');
      await place.waitFor();
      expect(await place.inputValue()).not.toBe('side');
      const tab = await context.newPage();
      await tab.goto(`${url}/settings/tokens`);
      await tab.getByRole('heading', { name: /^Settings of/ }).waitFor();
      // What can only be looked at from here leads to where it can be done again.
      await theirs.goto(`${url}/?project=side`);
      await theirs.getByRole('link', { name: 'acme/side:1' }).click();
      await theirs.getByRole('button', { name: 'Work in side' }).click();
      await theirs.getByRole('button', { name: 'Retry' }).waitFor();
      expect(await place.inputValue()).toBe('side');
      expect(theirs.url()).not.toContain('project=');
      await expectAccessible(theirs);
      await shoot(theirs, 'workplace-360-dark');
      // No other tab does in the one what it shows of the other.
      await tab.getByRole('heading', { name: 'Settings of side' }).waitFor();
      await tab.close();
      await place.selectOption({ index: 0 });
      await theirs.getByRole('link', { name: 'acme/web:3' }).waitFor();
      await theirs.getByRole('button', { name: 'Sign out' }).click();
      await theirs.getByText('You are signed out of Kiln').waitFor();
      await expectAccessible(theirs);
      await shoot(theirs, 'signed-out-360-dark');
      const ended = theirs.waitForRequest((asked) => asked.url().startsWith(`${issuer.url}/end?`));
      await theirs.getByRole('link', { name: 'Sign out there, too' }).click();
      await ended;
      await theirs.waitForURL(`${url}/sign-in`);
      await context.close();
    });
  });
}
