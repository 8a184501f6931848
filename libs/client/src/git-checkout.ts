import { dirname, join, resolve } from 'node:path';
import type { BuildSource } from '#protocol';
import type { ReadText } from './ci-environment.ts';
import { toldSource } from './told-source.ts';

const MAX_DEPTH = 64;
const HEAD = /^(?:ref: (refs\/\S+)|([0-9a-f]{40,64}))\s*$/;

/**
 * Branch and commit of the checkout that a directory lies in, from git's own files: https://git-scm.com/docs/gitrepository-layout. Empty
 * where there is none. What has been changed and not committed is not looked for.
 */
export function gitCheckout(directory: string, read: ReadText): BuildSource {
  let folder = resolve(directory);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const found = headOf(folder, read);
    if (found !== undefined) return found;
    const above = dirname(folder);
    if (above === folder) break;
    folder = above;
  }
  return {};
}

function headOf(folder: string, read: ReadText): BuildSource | undefined {
  // Of a worktree or a submodule, .git is a file that says where the directory is.
  const [, elsewhere] = /^gitdir: (.+?)\s*$/.exec(read(join(folder, '.git')) ?? '') ?? [];
  const git = elsewhere === undefined ? join(folder, '.git') : resolve(folder, elsewhere);
  const [, ref, detached] = HEAD.exec(read(join(git, 'HEAD')) ?? '') ?? [];
  if (ref === undefined) return detached === undefined ? undefined : toldSource({ commit: detached });
  const common = read(join(git, 'commondir'))?.trim();
  const shared = common === undefined ? git : resolve(git, common);
  const commit = read(join(shared, ref))?.trim() ?? packed(read(join(shared, 'packed-refs')), ref);
  return toldSource({ branch: /^refs\/heads\/(.+)$/.exec(ref)?.[1], commit });
}

function packed(refs: string | undefined, ref: string): string | undefined {
  const line = refs?.split('\n').find((each) => each.endsWith(` ${ref}`));
  return line?.split(' ')[0];
}
