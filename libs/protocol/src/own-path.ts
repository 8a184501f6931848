/** Where to go when somebody has signed in: a path of this site, whatever a link says, with its query. */
export function ownPath(to: string): string {
  const base = 'https://own.invalid';
  if (!to.startsWith('/') || !URL.canParse(to, base)) return '/';
  const { origin, pathname, search } = new URL(to, base);
  return origin === base && !pathname.startsWith('//') ? `${pathname}${search}` : '/';
}
