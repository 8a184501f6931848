/** A socket on which an ssh agent of the client's answers, for as long as it is held. */
export interface GitAgent extends AsyncDisposable {
  readonly path: string;
  /** aborted when the client has left while it was asked */
  readonly lost: AbortSignal;
}

/** What a build lends to git. */
export interface GitAccess {
  /** The text of a secret, by its id; undefined when the build has none of that id. */
  readonly secret: (id: string) => string | undefined;
  /** @throws KilnError STEP_FAILED when the client forwards no agent, or has left */
  agent(signal: AbortSignal): Promise<GitAgent>;
}

/**
 * The Authorization header for a remote, from the secrets that BuildKit names: `GIT_AUTH_HEADER.host`, `GIT_AUTH_TOKEN.host`,
 * and, for the remote that the build itself names, `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN`.
 * @param root the remote that the build names; others are submodules
 */
export function authorizationOf(
  remote: string,
  secret: GitAccess['secret'],
  root: string,
): { readonly scope: string; readonly header: string } | undefined {
  const url = URL.canParse(remote) ? new URL(remote) : undefined;
  if (url === undefined) return undefined;
  const { host, protocol } = url;
  const named = remote === root;
  // A repository that came safely does not get to have secrets sent in clear.
  if (!named && protocol === 'http:' && !(URL.canParse(root) && isAt(new URL(root), url))) return undefined;
  // Submodules are the repository's choice: they get no secret that is not for their host.
  for (const suffix of named ? [`.${host}`, ''] : [`.${host}`]) {
    const header = secret(`GIT_AUTH_HEADER${suffix}`)?.trim();
    const token = secret(`GIT_AUTH_TOKEN${suffix}`)?.trim();
    const basic = token && `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
    const usable = header || basic;
    if (usable && !/[\r\n\0]/.test(usable)) return { scope: `${protocol}//${host}/`, header: usable };
  }
  return undefined;
}

const isAt = (a: URL, b: URL): boolean => a.protocol === b.protocol && a.host === b.host;
