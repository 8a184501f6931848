import { BuildSource } from '#protocol';

/** What a build is of, before it is checked: empty and unfit values are left out. */
export type RawSource = { readonly [name in keyof BuildSource]?: string | undefined };

const MAX_CHARS: Readonly<Record<keyof BuildSource, number>> = {
  ...{ repository: 512, branch: 255, commit: 64, author: 255, message: 500, pullRequest: 32, url: 2_048 },
};

/** What an environment says of itself is never a reason to refuse a build: what does not fit is not told. */
export function toldSource(raw: RawSource): BuildSource {
  const cleaned: RawSource = {
    ...raw,
    repository: raw.repository === undefined ? undefined : withoutUser(raw.repository),
    commit: raw.commit?.toLowerCase(),
    message: raw.message?.trimStart().split(/\r?\n/, 1)[0],
  };
  const kept = BuildSource.keyof().options.flatMap((name): [string, string][] => {
    const value = cleaned[name]?.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ').trim() ?? '';
    if (value === '') return [];
    const short = name === 'message' || name === 'author' ? value.slice(0, MAX_CHARS[name]) : value;
    return BuildSource.shape[name].safeParse(short).success ? [[name, short]] : [];
  });
  return BuildSource.parse(Object.fromEntries(kept));
}

/** A repository's URL without the user and the password that CI systems put there. */
function withoutUser(repository: string): string {
  const url = /^https?:/i.test(repository) ? URL.parse(repository) : null;
  if (url === null || (url.username === '' && url.password === '')) return repository;
  url.username = '';
  url.password = '';
  return url.href;
}
