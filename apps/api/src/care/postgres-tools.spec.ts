import { describe, expect, it } from 'vitest';
import { dumpDatabase, hintOf } from './postgres-tools.ts';

describe('what to do when a program of Postgres failed', () => {
  it.each([
    ['spawn pg_dump ENOENT', /install Postgres/],
    ['pg_dump: error: aborting because of server version mismatch', /install Postgres/],
    ['pg_restore: error: unsupported version (1.16) in file header', /install Postgres/],
    ['pg_dump: error: could not write to output file: No space left on device', /make room/],
    ['connection to server at "127.0.0.1", port 1 failed: Connection refused', undefined],
  ])('%s', (said, hint) => {
    if (hint === undefined) expect(hintOf(said)).toBeUndefined();
    else expect(hintOf(said)).toMatch(hint);
  });

  it('says nothing of programs when the database is away', async () => {
    const options = { url: 'postgres://u:secret@127.0.0.1:1/db', path: process.env['PATH'] ?? '' };
    const dumping = dumpDatabase('/dev/null', 's', { ...options, signal: new AbortController().signal });
    await expect(dumping).rejects.toMatchObject({ message: expect.not.stringContaining('secret') as string });
  });
});
