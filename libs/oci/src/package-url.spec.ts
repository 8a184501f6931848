import { describe, expect, it } from 'vitest';
import { digestOf } from './hasher.ts';
import { imagePurl } from './package-url.ts';
import { parseReference } from './reference.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const digest = digestOf('an image');

describe('imagePurl', () => {
  it.each([
    ['alpine', undefined, 'pkg:docker/alpine@latest'],
    ['library/alpine:3.15', undefined, 'pkg:docker/alpine@3.15'],
    ['user/test:v2', undefined, 'pkg:docker/user/test@v2'],
    ['ghcr.io/foo/bar:v2', undefined, 'pkg:docker/ghcr.io/foo/bar@v2'],
    ['localhost:5000/bar', undefined, 'pkg:docker/localhost%3A5000/bar@latest'],
    ['busybox', amd64, 'pkg:docker/busybox@latest?platform=linux%2Famd64'],
    [`busybox@${digest}`, amd64, `pkg:docker/busybox?digest=${digest}&platform=linux%2Famd64`],
    [`busybox:1@${digest}`, undefined, `pkg:docker/busybox@1?digest=${digest}`],
  ])('writes %s as BuildKit does', (reference, platform, expected) => {
    expect(imagePurl(parseReference(reference), platform)).toBe(expected);
  });
});
