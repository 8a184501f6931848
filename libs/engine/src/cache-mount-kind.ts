/** What is known of a tool's cache. */
export interface CacheMountKind {
  readonly name: string;
  /** paths in it that stay on their builder: locks, and what is half there; a regular expression */
  readonly skip?: string | undefined;
}

interface Rule extends CacheMountKind {
  /** where tools keep it, by the end of the path */
  readonly at: RegExp;
  /** names in it by which it is known elsewhere */
  readonly holds?: readonly RegExp[] | undefined;
}

/**
 * Caches whose files are named by what they hold or by name and version, or that are checked when they are read: two of
 * them make one by putting their files together. A gradle cache, a compiler's output, a database are none: their files
 * belong to each other.
 */
const rules: readonly Rule[] = [
  { name: 'npm', at: /\/(\.npm|_cacache)$/, holds: [/^_cacache$/], skip: '^(_cacache/)?tmp/' },
  { name: 'pip', at: /\/\.cache\/pip$/, holds: [/^http(-v2)?$/, /^(selfcheck|wheels)$/] },
  { name: 'uv', at: /\/\.cache\/uv$/ },
  { name: 'yarn', at: /\/(\.cache\/yarn|\.yarn(\/berry)?\/cache|\.yarn\/berry)(\/v\d+)?$/ },
  { name: 'pnpm', at: /\/(pnpm\/store|\.pnpm-store)$/ },
  { name: 'go modules', at: /\/go\/pkg\/mod$/, skip: '^cache/lock$' },
  { name: 'go build', at: /\/\.cache\/go-build$/, holds: [/^trim\.txt$/, /^00$/, /^ff$/] },
  { name: 'cargo', at: /\/cargo\/(registry|git)(\/[a-z]+)?$|\/\.cargo\/(registry|git)(\/[a-z]+)?$/ },
  { name: 'apt', at: /^\/var\/cache\/apt(\/archives)?$/, skip: '^(archives/)?(lock$|partial/)' },
  { name: 'maven', at: /\/\.m2(\/repository)?$/ },
  { name: 'nuget', at: /\/\.nuget\/packages$/ },
  { name: 'composer', at: /\/\.(cache\/composer|composer\/cache)$/ },
  { name: 'ccache', at: /\/\.(cache\/)?(ccache|sccache)$/ },
];

/** By the place, which is the id too where the Dockerfile gives none. */
export function kindByPlace(...places: readonly string[]): CacheMountKind | undefined {
  const plain = places.map((place) => place.replace(/\/+$/, ''));
  return rules.find(({ at }) => plain.some((place) => at.test(place)));
}

/** By the names in the directory. */
export function kindByNames(names: readonly string[]): CacheMountKind | undefined {
  return rules.find(
    ({ holds }) => holds !== undefined && holds.every((wanted) => names.some((name) => wanted.test(name))),
  );
}
