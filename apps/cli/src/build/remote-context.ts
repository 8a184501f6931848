import type { NamedContext } from '#protocol';

/** A context that the farm fetches. */
export type RemoteContext = Extract<NamedContext, { readonly type: 'git' | 'http' }>;

/** What a context's name means when it is no directory: a git repository or a URL. Undefined for all others. */
export function remoteContext(text: string): RemoteContext | undefined {
  if (/^(?:git|ssh):\/\//i.test(text) || /^[\w-]+@[\w.-]+:/.test(text)) return { type: 'git', url: text };
  // Docker's old short form.
  if (text.startsWith('github.com/')) return { type: 'git', url: withGit(`https://${text}`) };
  if (!/^https?:\/\//i.test(text)) return undefined;
  return { type: /^[^?#]*\.git(?:[?#]|$)/.test(text) ? 'git' : 'http', url: text };
}

/** Whether ssh leads to a context, and so an agent is needed. */
export function isBySsh(text: string): boolean {
  return remoteContext(text)?.type === 'git' && !/^(?:git|https?|github\.com)[:/]/i.test(text);
}

/** By https a repository is told by its ending. */
function withGit(url: string): string {
  return url.replace(/^([^?#]*?)(?:\.git)?\/?(?=[?#]|$)/, '$1.git');
}
