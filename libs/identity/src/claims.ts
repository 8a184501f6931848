/** What a verified id token says. */
export type Claims = Readonly<Record<string, unknown>>;

/** A claim as text; of a list each member. */
export function claimTexts(claims: Claims, name: string): readonly string[] {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  return [value].flat().flatMap((each) => {
    switch (typeof each) {
      case 'string':
        return [each];
      case 'number':
      case 'boolean':
        return [String(each)];
      default:
        return [];
    }
  });
}

/** A claim that is one text, and no list. */
export function claimText(claims: Claims, name: string): string | undefined {
  const [text, second] = claimTexts(claims, name);
  return second === undefined ? text : undefined;
}
