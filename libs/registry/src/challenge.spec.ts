import { describe, expect, it } from 'vitest';
import { parseChallenge } from './challenge.ts';

describe('parseChallenge', () => {
  it.each([
    ['Basic realm="x"', { scheme: 'basic' }],
    ['Basic', { scheme: 'basic' }],
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      { scheme: 'bearer', realm: 'https://auth.docker.io/token', service: 'registry.docker.io' },
    ],
    ['bearer  Realm = "https://a/t" ', { scheme: 'bearer', realm: 'https://a/t', service: undefined }],
    ['Basic realm="x, y", Bearer realm="https://a/t"', { scheme: 'bearer', realm: 'https://a/t', service: undefined }],
    ['Bearer service="no realm", Basic realm="x"', { scheme: 'basic' }],
    ['Bearer realm="https://a/\\"t\\""', { scheme: 'bearer', realm: 'https://a/"t"', service: undefined }],
    ['Negotiate', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('reads %j', (header, expected) => {
    expect(parseChallenge(header)).toEqual(expected);
  });

  it('reads several headers', () => {
    expect(parseChallenge(['Basic realm="x"', 'Bearer realm="https://a/t"'])).toMatchObject({ scheme: 'bearer' });
  });
});
