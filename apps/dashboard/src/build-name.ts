import type { ContainerRun, StoredRequest } from '#protocol';

/** What people call a build by. */
export function buildName({ call, reference, tags, target, dockerfile }: StoredRequest): string {
  if (reference !== undefined) return `run ${reference}`;
  const name = tags[0] ?? target ?? dockerfile;
  return call === 'push' ? `push ${name}` : name;
}

/** As it was written behind the image. */
export function commandOf({ entrypoint = [], command }: ContainerRun): string {
  return [...entrypoint, ...command].join(' ') || 'what the image says';
}
