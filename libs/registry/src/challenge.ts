/** How a registry wants to be authenticated to: https://distribution.github.io/distribution/spec/auth/token/ */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined };

const parameter = /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi;

/** The best of the challenges in WWW-Authenticate; undefined when there is none that we know. */
export function parseChallenge(header: string | readonly string[] | undefined): Challenge | undefined {
  const text = typeof header === 'string' ? header : (header ?? []).join(', ');
  const starts = [...text.matchAll(/(?:^|,)\s*(bearer|basic)(?=\s|$|,)/gi)];
  const challenges = starts.flatMap((start, index): Challenge[] => {
    const from = start.index + start[0].length;
    const rest = text.slice(from, starts[index + 1]?.index ?? text.length);
    if (start[1]?.toLowerCase() === 'basic') return [{ scheme: 'basic' }];
    const values = new Map(
      [...rest.matchAll(parameter)].map(([, name, quoted, plain]) => [
        name?.toLowerCase(),
        quoted?.replace(/\\(.)/g, '$1') ?? plain,
      ]),
    );
    const realm = values.get('realm');
    return realm === undefined ? [] : [{ scheme: 'bearer', realm, service: values.get('service') }];
  });
  return challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges[0];
}
