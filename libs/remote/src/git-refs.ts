import { KilnError } from '#std';

/** What a ref was found to stand for. */
export interface ResolvedRef {
  readonly commit: string;
  /** the full name of the ref, or the commit */
  readonly ref: string;
}

export interface RefQuery {
  /** the remote, for people */
  readonly shown: string;
  readonly ref: string;
  /** beginning of the commit that it has to be; empty for any */
  readonly checksum: string;
  /** what `git ls-remote` says of `ref` and `ref^{}`; with an empty ref what `--symref` says of HEAD */
  readonly listing: string;
}

/** SHA-1 or SHA-256, in full. */
export function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/**
 * The commit that is meant: that of `refs/<ref>`, else of a branch, else of a tag, as BuildKit has it.
 * @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED when it is not that of the checksum; INVALID_ARGUMENT for a bad checksum
 */
export function chooseRef(query: RefQuery): ResolvedRef {
  const { shown, checksum } = query;
  if (!/^[0-9a-f]{0,64}$/i.test(checksum)) {
    throw new KilnError('DOCKERFILE_INVALID', `invalid checksum ${checksum} for a git URL: it has to be a commit`, {
      hint: 'write the commit in hexadecimal',
    });
  }
  const { tag, ...found } = isCommit(query.ref) ? { commit: query.ref, ref: query.ref, tag: '' } : listed(query);
  const wanted = checksum.toLowerCase();
  if (found.commit.startsWith(wanted) || (wanted !== '' && tag.startsWith(wanted))) return found;
  throw new KilnError(
    'STEP_FAILED',
    `checksum mismatch for ${shown}: expected the commit ${checksum}, got ${found.commit}`,
    {
      hint: `if the commit is the right one, write --checksum=${found.commit}`,
    },
  );
}

/** `tag` is the object of an annotated tag itself; empty for all others. */
function listed({ shown, ref, listing }: RefQuery): ResolvedRef & { readonly tag: string } {
  const ids = new Map<string, string>();
  let head = '';
  for (const line of listing.split('\n')) {
    const [id = '', name = ''] = line.split('\t');
    if (id.startsWith('ref: ')) head = id.slice('ref: '.length);
    else if (isCommit(id)) ids.set(name, id);
  }
  if (ref === '') {
    const commit = ids.get('HEAD');
    // What the server says becomes an argument of git.
    if (commit !== undefined) return { commit, ref: head.startsWith('refs/') ? head : commit, tag: '' };
    throw new KilnError('SOURCE_NOT_FOUND', `the git repository ${shown} has no default branch`, {
      hint: 'name a branch: #branch after the URL',
    });
  }
  const below = (prefix: string): string => `${prefix}${ref.startsWith(prefix) ? ref.slice(prefix.length) : ref}`;
  for (const name of [below('refs/'), below('refs/heads/'), below('refs/tags/')]) {
    const id = ids.get(name);
    const peeled = ids.get(`${name}^{}`);
    if (id !== undefined) return { commit: peeled ?? id, ref: name, tag: peeled === undefined ? '' : id };
  }
  throw new KilnError('SOURCE_NOT_FOUND', `the git repository ${shown} has no branch or tag ${JSON.stringify(ref)}`, {
    hint: 'check the name; a commit has to be written in full',
  });
}
