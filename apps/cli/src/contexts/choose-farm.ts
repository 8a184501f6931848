import { type Contexts, DEFAULT_CONTEXT, savedContext } from './context-file.ts';
import { farmUrl, sameOrigin } from './farm-url.ts';

/** A farm other than the one of this machine. */
export interface Farm {
  readonly url: string;
  readonly token: string | undefined;
  /** the context that named it; undefined: KILN_URL did */
  readonly context: string | undefined;
}

export interface FarmWords {
  /** KILN_URL and KILN_TOKEN */
  readonly url: string | undefined;
  readonly token: string | undefined;
  /** --context or KILN_CONTEXT */
  readonly context: string | undefined;
  /** --data: the farm of this machine is meant, unless something else is said */
  readonly data: string | undefined;
}

/**
 * The farm that a command is for: that of KILN_URL, else that of the context that is named, else that of the context in use. Undefined: the
 * farm of this machine. KILN_TOKEN goes to KILN_URL and nowhere else.
 * @throws KilnError INVALID_ARGUMENT
 */
export function chooseFarm(
  { url: given, token, context, data }: FarmWords,
  contexts: () => Contexts,
): Farm | undefined {
  if (given !== undefined) {
    const url = farmUrl(given, 'KILN_URL');
    return { url, token: token ?? tokenFor(contexts(), url), context: undefined };
  }
  const name = context ?? (data === undefined ? contexts().current : undefined) ?? DEFAULT_CONTEXT;
  if (name === DEFAULT_CONTEXT) return undefined;
  const saved = savedContext(contexts(), name);
  // A file that was edited by hand may say another URL than the one that the token was given for.
  const own = saved.token !== undefined && sameOrigin(saved.token.origin, saved.url) ? saved.token.value : undefined;
  return { url: saved.url, token: own, context: name };
}

/** What was saved for a farm, by whatever context. */
function tokenFor({ contexts }: Contexts, url: string): string | undefined {
  const found = Object.values(contexts).find((each) => each.url === url && each.token !== undefined);
  return found?.token !== undefined && sameOrigin(found.token.origin, url) ? found.token.value : undefined;
}
