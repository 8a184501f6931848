import { formatPlatform, type Platform } from './platform.ts';
import { familiarReference, type Reference } from './reference.ts';

/** An image in the words of https://github.com/package-url/purl-spec, as BuildKit writes it: `pkg:docker/acme/app@1?platform=linux%2Famd64`. */
export function imagePurl({ registry, repository, tag, digest }: Reference, platform?: Platform): string {
  const name = familiarReference({ registry, repository }).split('/').map(encodeURIComponent).join('/');
  const qualifiers = [
    ...(digest === undefined ? [] : [`digest=${digest}`]),
    ...(platform === undefined ? [] : [`platform=${encodeURIComponent(formatPlatform(platform))}`]),
  ];
  const version = tag === undefined ? '' : `@${encodeURIComponent(tag)}`;
  return `pkg:docker/${name}${version}${qualifiers.length === 0 ? '' : `?${qualifiers.join('&')}`}`;
}
