/**
 * The registries that a build is likely to talk to: those of its tags, and those of the images that its Dockerfile names.
 * A guess on the generous side: a host too many costs a look into docker's config, a host too few a refused pull.
 */
export function registryHosts(
  tags: readonly string[],
  dockerfile: string | undefined,
  buildArgs: Readonly<Record<string, string>>,
): ReadonlySet<string> {
  const images = dockerfile === undefined ? [] : imagesOf(dockerfile, buildArgs);
  const unseen = dockerfile === undefined ? ['docker.io'] : [];
  return new Set([...tags, ...images].map(hostOf).concat(unseen));
}

function imagesOf(dockerfile: string, buildArgs: Readonly<Record<string, string>>): readonly string[] {
  const text = dockerfile.replaceAll(/[\\`]\r?\n/g, ' ');
  const values = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/^\s*ARG\s+([A-Za-z_]\w*)(?:=(\S*))?/gim)) {
    values.set(name, buildArgs[name] ?? value.replaceAll(/^["']|["']$/g, ''));
  }
  const stages = new Set(['scratch']);
  const images: string[] = [];
  const named = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?|(?:--|,)from=([^\s,]+)/gim;
  for (const [, base, stage, from] of text.matchAll(named)) {
    const image = expand(base ?? from ?? '', values);
    if (!stages.has(image.toLowerCase()) && !/^\d*$/.test(image)) images.push(image);
    if (stage !== undefined) stages.add(stage.toLowerCase());
  }
  return images;
}

function expand(word: string, values: ReadonlyMap<string, string>): string {
  return word.replaceAll(
    /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^}]*))?\})/g,
    (_, plain: string | undefined, braced: string | undefined, fallback: string | undefined) =>
      values.get(plain ?? braced ?? '') || (fallback ?? ''),
  );
}

/** As image names have it: the first part is a host when it has a dot or a port, or is localhost. */
function hostOf(image: string): string {
  const slash = image.indexOf('/');
  const first = slash < 0 ? '' : image.slice(0, slash);
  return first.includes('.') || first.includes(':') || first === 'localhost' ? first.toLowerCase() : 'docker.io';
}
