import { posix } from 'node:path';
import { decodePath } from '#content';
import { gitEndpoint, withoutCredentials } from '#graph';
import { type Bytes, KilnError } from '#std';

/** A submodule as a commit pins it. */
export interface Submodule {
  /** relative to the repository's root */
  readonly path: string;
  readonly commit: string;
}

const MAX_SUBMODULES = 1000;
const LINE_BYTES = 64 * 1024;

/** The submodules in the output of `git ls-tree -r -z`, which may be long. @throws KilnError LIMIT_EXCEEDED */
export async function readSubmodules(listing: Bytes): Promise<readonly Submodule[]> {
  const found: Submodule[] = [];
  let rest = Buffer.alloc(0);
  for await (const chunk of listing) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
      const line = rest.subarray(0, end);
      rest = rest.subarray(end + 1);
      if (line.subarray(0, 7).toString('latin1') !== '160000 ') continue;
      const tab = line.indexOf(0x09);
      const commit = line.subarray(0, tab).toString('latin1').split(' ')[2] ?? '';
      found.push({ path: decodePath(Buffer.from(line.subarray(tab + 1))), commit });
      if (found.length > MAX_SUBMODULES) {
        throw new KilnError('LIMIT_EXCEEDED', `the repository has more than ${MAX_SUBMODULES} submodules`);
      }
    }
    if (rest.length > LINE_BYTES) throw new KilnError('LIMIT_EXCEEDED', 'the repository has a path that is too long');
  }
  return found;
}

/** URLs by path, from the output of `git config -z --list` over .gitmodules. */
export function readModuleUrls(listing: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  const urls = new Map<string, string>();
  for (const item of listing.split('\0')) {
    const [, name, key, value] = /^submodule\.([^\n]*)\.(path|url)\n(.*)$/s.exec(item) ?? [];
    if (name !== undefined && value !== undefined) (key === 'path' ? paths : urls).set(name, value);
  }
  return new Map(
    [...paths].flatMap(([name, path]) => {
      const url = urls.get(name);
      return url === undefined ? [] : [[path, url] as const];
    }),
  );
}

/**
 * Where a submodule is; relative URLs are taken from that of the repository that holds it.
 * @throws KilnError STEP_FAILED for a place that is not fetched from
 */
export function submoduleUrl(path: string, url: string | undefined, parent: string): string {
  if (url === undefined) {
    throw new KilnError('STEP_FAILED', `no URL for the submodule ${JSON.stringify(path)} in .gitmodules`, {
      hint: WITHOUT,
    });
  }
  const relative = url.startsWith('./') || url.startsWith('../');
  const absolute = relative ? beside(parent, url) : url;
  const endpoint = absolute === undefined ? undefined : gitEndpoint(absolute);
  if (absolute === undefined || endpoint === undefined) {
    throw new KilnError(
      'STEP_FAILED',
      `the submodule ${JSON.stringify(path)} is at ${withoutCredentials(url)}: submodules are fetched by https, http, ssh and git alone`,
      { hint: WITHOUT },
    );
  }
  return URL.canParse(absolute) ? new URL(absolute).href : absolute;
}

/** A relative URL, from that of a repository. */
function beside(parent: string, url: string): string | undefined {
  const base = `${parent.replace(/\/+$/, '')}/`;
  if (URL.canParse(url, base)) return new URL(url, base).href;
  const [, place, path = ''] = /^([^:/]+:)(.*)$/.exec(base) ?? [];
  const joined = posix.join(path, url);
  return place === undefined || joined === '..' || joined.startsWith('../') ? undefined : `${place}${joined}`;
}

const WITHOUT = 'leave submodules out with ?submodules=false in the URL';
