/** The newest version of Docker's Engine API that is spoken, and the oldest. https://docs.docker.com/reference/api/engine/ */
export const MAX_API_VERSION = '1.51';
export const MIN_API_VERSION = '1.24';

/** Where the Engine API's routes are within this one: docker's clients say `/v1.41/build`, or `/build`. */
export const ENGINE = '/engine';
/** What a client of another path would not mean: everything else without a version is the farm's own. */
const PLAIN = /^\/(?:_ping|version|info|build|auth|session|grpc|images\/json)$/;
const OF_IMAGE = /^(\/images\/)(.+)(\/(?:json|history|tag|push))$/;

/**
 * The path of a request as this server routes it: names of images have slashes, and come as they are.
 * @returns undefined for what is no path of the Engine API
 */
export function enginePath(method: string, url: string): string | undefined {
  const at = url.search(/[?#]/);
  const [whole, query] = at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at)];
  const [, version, rest = ''] = /^\/v(\d{1,3}\.\d{1,3})(\/.*)$/.exec(whole) ?? [];
  const path = version === undefined ? whole : rest;
  const image = OF_IMAGE.exec(path);
  const removed = method === 'DELETE' ? /^(\/images\/)(.+)$/.exec(path) : null;
  if (version === undefined && !PLAIN.test(path) && image === null && removed === null) return undefined;
  const [, before = '', name = '', after = ''] = image ?? removed ?? [];
  const route = image === null && removed === null ? path : `${before}${encodeURIComponent(decoded(name))}${after}`;
  return `${ENGINE}/${version ?? 'any'}${route}${query}`;
}

/** Some clients write names as they are, some as a URL does. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** What is wrong with the version that a client speaks; undefined for one that is spoken. */
export function versionProblem(version: string): string | undefined {
  if (version === 'any') return undefined;
  if (isLater(version, MAX_API_VERSION))
    return `client version ${version} is too new. Maximum supported API version is ${MAX_API_VERSION}`;
  if (isLater(MIN_API_VERSION, version))
    return `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`;
  return undefined;
}

function isLater(one: string, other: string): boolean {
  const [major = 0, minor = 0] = one.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major > otherMajor || (major === otherMajor && minor > otherMinor);
}
