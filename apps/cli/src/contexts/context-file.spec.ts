import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkContextName, type Contexts, readContexts, writeContexts } from './context-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kiln-contexts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const contexts: Contexts = {
  current: 'team',
  contexts: {
    team: { url: 'https://a.example', token: { value: 't', origin: 'https://a.example', expiresAt: null } },
  },
};

describe('the file of contexts', () => {
  it('is whole, and for its owner alone', async () => {
    const file = join(folder, 'kiln', 'config.json');
    expect(readContexts(file)).toEqual({ contexts: {} });
    await writeContexts(file, contexts);
    await writeContexts(file, contexts);
    expect(readContexts(file)).toEqual(contexts);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(file))).toEqual(['config.json']);
    expect(await readFile(file, 'utf8')).toMatch(/\}\n$/);
  });

  it('keeps its mode from a file that others could read', async () => {
    const file = join(folder, 'open.json');
    await writeFile(file, '{}', { mode: 0o644 });
    await writeContexts(file, contexts);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['{"contexts": kiln_secret', 'it is not JSON'],
    ['{"contexts": {"a": {"url": "ftp://x"}}}', 'contexts.a.url: not the URL of a farm'],
    ['{"contexts": {"a": {"url": "https://x/"}}}', 'contexts.a.url: not the URL of a farm'],
    ['{"contexts": {"../a": {"url": "https://x"}}}', 'contexts'],
    ['{"contexts": {}, "more": 1}', 'more'],
    ['[]', 'expected object'],
  ])('is named when it is damaged: %s', async (text, why) => {
    const file = join(folder, 'damaged.json');
    await writeFile(file, text);
    const thrown: unknown = await Promise.resolve()
      .then(() => readContexts(file))
      .catch((reason: unknown) => reason);
    expect(thrown).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(why) as string });
    expect(String(thrown)).toContain(file);
    expect(String(thrown)).not.toContain('kiln_secret');
  });

  it('has names that are no paths', () => {
    expect(checkContextName('farm.example.com')).toBe('farm.example.com');
    for (const name of ['', '.x', 'a/b', 'default', 'a b']) expect(() => checkContextName(name)).toThrow();
  });
});
