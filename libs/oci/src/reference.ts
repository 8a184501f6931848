import { KilnError } from '#std';
import { type Digest, isDigest } from './digest.ts';

/** An image name with its defaults filled in: `node:20` is docker.io, library/node, tag 20. */
export interface Reference {
  /** host or host:port, lower case */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const hostPattern = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;

/**
 * Docker's grammar of image names (https://pkg.go.dev/github.com/distribution/reference), tag `latest` by default.
 * @throws KilnError INVALID_ARGUMENT
 */
export function parseReference(text: string): Reference {
  const bad = (why: string): KilnError =>
    new KilnError('INVALID_ARGUMENT', `not an image name: ${JSON.stringify(text)} (${why})`, {
      hint: 'write it as [host[:port]/]name[:tag][@sha256:…]',
    });
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const tail = rest.slice(at + 1);
    if (!isDigest(tail)) throw bad('the digest is not sha256 with 64 hexadecimal digits');
    digest = tail;
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    if (!tagPattern.test(tag)) throw bad('the tag has characters that are not allowed');
    rest = rest.slice(0, colon);
  }
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const named = first.includes('.') || first.includes(':') || first === 'localhost' || first.toLowerCase() !== first;
  let registry = named ? first.toLowerCase() : 'docker.io';
  let repository = named ? rest.slice(slash + 1) : rest;
  if (!hostPattern.test(registry)) throw bad('the host is malformed');
  if (registry === 'index.docker.io') registry = 'docker.io';
  if (registry === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`;
  if (!repositoryPattern.test(repository))
    throw bad(repository.toLowerCase() === repository ? 'the name is malformed' : 'names are in lower case');
  if (repository.length > 255) throw bad('the name is longer than 255 characters');
  if (tag === undefined && digest === undefined) tag = 'latest';
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** The full name: `docker.io/library/node:20`. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** As people write it: without docker.io and library/. */
export function familiarReference(reference: Reference): string {
  return formatReference(reference).replace(/^docker\.io\/(?:library\/)?/, '');
}
