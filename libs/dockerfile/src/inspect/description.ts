/** What the comments above a stage or an argument say of it: the line that begins with its name. */
export function descriptionOf(comments: readonly string[], name: string | undefined): string | undefined {
  const found = name === undefined ? undefined : comments.find((comment) => comment.startsWith(`${name} `));
  return found?.slice((name ?? '').length + 1);
}
