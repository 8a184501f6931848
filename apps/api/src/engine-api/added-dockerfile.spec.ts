import type { ContentStore } from '#content';
import { ingestTar } from '#context';
import { BuildRequest } from '#protocol';
import { collect, single } from '#std';
import { MemoryContentStore, type TarItem, tarOf } from '#testing';
import { describe, expect, it } from 'vitest';
import { withoutAddedDockerfile } from './added-dockerfile.ts';

const name = '.dockerfile.0123456789abcdef0123';
const limits = { maxFiles: 100, maxBytes: 1024 ** 2, maxPathBytes: 4096 };
const kept: TarItem = { name: 'kept', text: 'k' };
const added: TarItem = { name, text: 'FROM x\n', mode: 0o600 };
const ignoring = (before: string): TarItem => ({ name: '.dockerignore', text: `${before}\n${name}\n` });

/** What is left of a context: its files, and the Dockerfile that the request has now. */
async function revised(items: readonly TarItem[], dockerfile = name) {
  const content: ContentStore = new MemoryContentStore();
  const context = await ingestTar(single(await tarOf(...items)), content, limits);
  const request = BuildRequest.parse({ dockerfile });
  const { signal } = new AbortController();
  const after = await withoutAddedDockerfile({ request, context }, content, signal);
  const files: Record<string, string> = {};
  for (const { path, digest } of after.context.manifest.entries) {
    if (digest === undefined) continue;
    files[path] = (await collect(content.get(digest), limits.maxBytes)).toString();
    expect(after.context.digests.has(digest)).toBe(true);
  }
  return { files, text: after.request.dockerfileText };
}

describe('a Dockerfile that docker’s client put into the context', () => {
  it('comes out of it, and .dockerignore is what it was', async () => {
    expect(await revised([ignoring('junk\n'), kept, added])).toEqual({
      files: { '.dockerignore': 'junk\n', kept: 'k' },
      text: 'FROM x\n',
    });
  });

  it('leaves a .dockerignore that ignores itself, where there was none', async () => {
    const { files } = await revised([kept, added, ignoring('.dockerignore')]);
    expect(files).toEqual({ '.dockerignore': '.dockerignore', kept: 'k' });
  });

  const others: readonly (readonly [string, string, readonly TarItem[]])[] = [
    ['is not the one that is named', 'Dockerfile', [ignoring(''), added, kept]],
    ['has a name of another kind', '.dockerfile.x', [ignoring(''), kept, { name: '.dockerfile.x', text: '' }]],
    ['has a mode that docker does not give', name, [ignoring(''), { ...added, mode: 0o644 }]],
    ['is not left out', name, [{ name: '.dockerignore', text: 'junk\n' }, added]],
    ['is left out before something else', name, [{ name: '.dockerignore', text: `\n${name}\n\n!kept\n` }, added]],
    ['has no .dockerignore beside it', name, [added]],
    ['has another name, too', name, [ignoring(''), added, { name: 'other', type: 'link', linkname: name }]],
    ['is no text that can be kept', name, [ignoring(''), { ...added, text: 'FROM x\0' }]],
  ];
  it.each(others)('stays where it %s', async (_, dockerfile, items) => {
    const before = Object.fromEntries(items.map((item) => [item.name, item.text ?? items[1]?.text]));
    expect(await revised(items, dockerfile)).toEqual({ files: before, text: undefined });
  });
});
