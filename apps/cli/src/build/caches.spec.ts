import { describe, expect, it } from 'vitest';
import { readCacheSources, readCacheTargets } from './caches.ts';

const plain = { mode: 'min', ignoreError: false };

describe('--cache-from', () => {
  it('knows what docker buildx knows', () => {
    expect(
      readCacheSources(['type=registry,ref=a/b:c', 'd:e,f', 'type=local,src=dir', 'type=local,src=x,tag=t']),
    ).toEqual([
      { type: 'registry', ref: 'a/b:c' },
      { type: 'registry', ref: 'd:e' },
      { type: 'registry', ref: 'f' },
      { type: 'local', path: 'dir', tag: 'latest', digest: undefined },
      { type: 'local', path: 'x', tag: 't', digest: undefined },
    ]);
  });

  it.each([
    ['type=gha', 'type=gha is not supported'],
    ['type=s3,region=x', 'type=s3 is not supported'],
    ['type=registy,ref=a', 'did you mean registry?'],
    ['type=inline', 'type=inline is not known'],
    ['type=registry', 'needs ref='],
    ['type=local', 'needs src='],
    ['ref=a', 'needs a type'],
    ['type=registry,ref=a,mode=max', 'no attribute mode'],
    ['', 'is empty'],
  ])('refuses %j', (value, message) => {
    expect(() => readCacheSources([value])).toThrow(message);
  });
});

describe('--cache-to', () => {
  it('knows what docker buildx knows', () => {
    const { requests, destinations } = readCacheTargets([
      'a/b:c',
      'type=registry,ref=r,mode=max,compression=zstd,compression-level=9,force-compression=true,image-manifest=true,oci-mediatypes=true,ignore-error=true',
      'type=inline',
      'type=local,dest=out,mode=max',
    ]);
    expect(requests).toEqual([
      { type: 'registry', ref: 'a/b:c', ...plain },
      {
        type: 'registry',
        ref: 'r',
        mode: 'max',
        compression: 'zstd',
        compressionLevel: 9,
        forceCompression: true,
        imageManifest: true,
        ociMediaTypes: true,
        ignoreError: true,
      },
      { type: 'inline' },
      { type: 'local', tag: 'latest', ...plain, mode: 'max' },
    ]);
    expect(destinations).toEqual([{ kind: 'directory', path: 'out', content: 'layout' }]);
  });

  it.each([
    ['type=azblob,name=x', 'type=azblob is not supported'],
    ['type=registry,ref=a,mode=most', 'mode=most is not known'],
    ['type=inline,mode=max', 'layers of the image alone'],
    ['type=local', 'needs dest='],
    ['type=registry,ref=a,oci-mediatypes=false,image-manifest=true', 'OCI media types alone'],
    ['type=registry,ref=a,registry.insecure=true', 'registry.insecure=true is not supported'],
    ['type=registry,ref=a,ignore-errors=true', 'did you mean ignore-error?'],
  ])('refuses %s', (value, message) => {
    expect(() => readCacheTargets([value])).toThrow(message);
  });
});
