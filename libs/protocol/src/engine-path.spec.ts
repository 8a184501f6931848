import { describe, expect, it } from 'vitest';
import { enginePath, versionProblem } from './engine-path.ts';

describe('paths of the Engine API', () => {
  it.each([
    ['HEAD', '/_ping', '/engine/any/_ping'],
    ['POST', '/v1.41/build?t=a%3A1', '/engine/1.41/build?t=a%3A1'],
    ['POST', '/build', '/engine/any/build'],
    ['GET', '/v1.50/images/json?all=1', '/engine/1.50/images/json?all=1'],
    ['GET', '/images/acme/app:1/json', '/engine/any/images/acme%2Fapp%3A1/json'],
    [
      'POST',
      '/v1.41/images/127.0.0.1:5000/acme/app/push?tag=1',
      '/engine/1.41/images/127.0.0.1%3A5000%2Facme%2Fapp/push?tag=1',
    ],
    ['GET', '/v1.41/images/acme%2Fapp/history', '/engine/1.41/images/acme%2Fapp/history'],
    ['DELETE', '/v1.41/images/acme/app:1?force=1', '/engine/1.41/images/acme%2Fapp%3A1?force=1'],
    ['GET', '/v1.41/containers/json', '/engine/1.41/containers/json'],
    ['GET', '/v1.41/images/%E0%A4%A/json', '/engine/1.41/images/%25E0%25A4%25A/json'],
  ])('%s %s', (method, url, path) => {
    expect(enginePath(method, url)).toBe(path);
  });

  it.each([
    ['GET', '/v1/builds'],
    ['GET', '/v1/images'],
    ['DELETE', '/v1/images/acme%2Fapp'],
    ['GET', '/images'],
    ['GET', '/b/abc'],
    ['GET', '/'],
    ['POST', '/builds'],
    ['GET', '/engine/any/build'],
  ])('leave %s %s alone', (method, url) => {
    expect(enginePath(method, url)).toBeUndefined();
  });

  it('of versions that are not spoken say which are', () => {
    expect(versionProblem('1.41')).toBeUndefined();
    expect(versionProblem('any')).toBeUndefined();
    expect(versionProblem('1.9')).toContain('too old');
    expect(versionProblem('2.0')).toContain('too new');
    expect(versionProblem('1.99')).toContain('Maximum supported API version is 1.51');
  });
});
