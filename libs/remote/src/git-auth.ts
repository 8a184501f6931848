/** The text of a secret of the build, by its id; undefined when the build has none of that id. */
export type GitAuth = (id: string) => string | undefined;

/**
 * The Authorization header for a remote, from the secrets that BuildKit names: `GIT_AUTH_HEADER.host`, `GIT_AUTH_TOKEN.host`,
 * and, for the remote that the build itself names, `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN`.
 */
export function authorizationOf(
  remote: string,
  auth: GitAuth,
  { named }: { readonly named: boolean },
): { readonly scope: string; readonly header: string } | undefined {
  const url = URL.canParse(remote) ? new URL(remote) : undefined;
  if (url === undefined) return undefined;
  // Submodules are the repository's choice: they get no secret that is not for their host.
  for (const suffix of named ? [`.${url.host}`, ''] : [`.${url.host}`]) {
    const header = auth(`GIT_AUTH_HEADER${suffix}`)?.trim();
    const token = auth(`GIT_AUTH_TOKEN${suffix}`)?.trim();
    const basic = token && `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
    const usable = header || basic;
    if (usable && !/[\r\n\0]/.test(usable)) return { scope: `${url.protocol}//${url.host}/`, header: usable };
  }
  return undefined;
}
