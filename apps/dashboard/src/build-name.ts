import type { StoredRequest } from '#protocol';

/** What people call a build by. */
export function buildName({ call, reference, tags, target, dockerfile }: StoredRequest): string {
  if (reference !== undefined) return `run ${reference}`;
  const name = tags[0] ?? target ?? dockerfile;
  return call === 'push' ? `push ${name}` : name;
}
