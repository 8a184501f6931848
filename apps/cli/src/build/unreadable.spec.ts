import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { whyUnreadable } from './unreadable.ts';

it.each([
  ['/no/such/file', 'there is no such file or directory'],
  ['/', 'it is a directory'],
  [`${import.meta.filename}/x`, 'a part of the path is no directory'],
])('%s', async (path, why) => {
  const thrown: unknown = await readFile(path).catch((reason: unknown) => reason);
  expect(whyUnreadable(thrown)).toBe(why);
});

it('says what it does not know as it came', () => {
  expect(whyUnreadable(new Error('EIO: the disk is tired'))).toBe('EIO: the disk is tired');
});
