import { describe, expect, it } from 'vitest';
import { parseOutputs } from './outputs.ts';

const parse = (...output: readonly string[]) => parseOutputs({ output, push: false, load: false });
const file = (path: string) => ({ kind: 'file', path });

describe('--output', () => {
  it('knows what docker buildx knows', () => {
    expect(parse('type=oci,dest=a.tar', 'type=docker,dest=b.tar', 'type=tar,dest=c.tar')).toEqual({
      requests: [{ type: 'oci' }, { type: 'docker' }, { type: 'tar' }],
      destinations: [file('a.tar'), file('b.tar'), file('c.tar')],
    });
    expect(parse('type=local,dest=out,platform-split=false', 'type=oci,tar=false,dest=layout').destinations).toEqual([
      { kind: 'directory', path: 'out', content: 'files' },
      { kind: 'directory', path: 'layout', content: 'layout' },
    ]);
    expect(parse('type=cacheonly')).toEqual({ requests: [], destinations: [] });
    expect(parse('type=docker').destinations).toEqual([{ kind: 'load' }]);
    expect(parse('type=registry').requests).toEqual([{ type: 'image', push: true }]);
  });

  it('takes a lone path as a directory, and a dash as a tar on standard output', () => {
    expect(parse('out')).toEqual({
      requests: [{ type: 'local' }],
      destinations: [{ kind: 'directory', path: 'out', content: 'files' }],
    });
    expect(parse('-')).toEqual({ requests: [{ type: 'tar' }], destinations: [{ kind: 'stdout' }] });
  });

  it('reads every attribute of an image', () => {
    const [request] = parse(
      'type=image,"name=a:1,b:2",push=true,compression=zstd,compression-level=22,force-compression=true,' +
        'oci-mediatypes=true,rewrite-timestamp=1,store=true,unpack=false,annotation.A.b=1,annotation-index.c=2,' +
        'annotation-manifest[linux/arm64].d=3,"annotation.e=x,""y"""',
    ).requests;
    expect(request).toEqual({
      type: 'image',
      push: true,
      names: ['a:1', 'b:2'],
      compression: 'zstd',
      compressionLevel: 22,
      forceCompression: true,
      ociMediaTypes: true,
      rewriteTimestamp: true,
      annotations: { 'manifest:A.b': '1', 'index:c': '2', 'manifest[linux/arm64]:d': '3', 'manifest:e': 'x,"y"' },
    });
    expect(parse('type=image,name=a,push=true,push-by-digest=true').requests).toMatchObject([{ pushByDigest: true }]);
  });

  it.each([
    ['type=image,compresion=gzip', 'no attribute compresion; did you mean compression?'],
    ['type=local,dest=x,compression=gzip', 'no attribute compression'],
    ['type=dokcer', 'did you mean docker?'],
    ['dest=x', 'needs a type'],
    ['type=local', 'needs a directory'],
    ['type=oci,tar=false', 'needs a directory'],
    ['type=docker,tar=false', 'always a tar'],
    ['type=image,compression=estargz', 'there are: gzip, zstd, uncompressed'],
    ['type=image,compression=gzip,compression-level=10', 'from 0 to 9'],
    ['type=image,compression=zstd,oci-mediatypes=false', 'OCI media types alone'],
    ['type=image,push=perhaps', 'neither true nor false'],
    ['type=image,unpack=true', 'unpack=true is not supported'],
    ['type=image,dangling-name-prefix=x', 'no attribute dangling-name-prefix'],
    ['type=image,name=a:1,push-by-digest=true', 'cannot push the tag of a:1'],
    ['type=image,annotation-indx.a=1', 'did you mean index?'],
    ['type=image,"name=a', 'not closed'],
  ])('refuses %s', (value, message) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
    try {
      parse(value);
    } catch (thrown) {
      expect(`${String(thrown)} ${(thrown as { hint?: string }).hint ?? ''}`).toContain(message);
    }
  });

  it('refuses two archives on standard output', () => {
    expect(() => parse('-', 'type=oci')).toThrow('standard output');
  });

  it('has short ways for pushing and loading', () => {
    expect(parseOutputs({ output: ['type=image,compression=zstd'], push: true, load: true })).toEqual({
      requests: [{ type: 'image', push: true, compression: 'zstd' }, { type: 'docker' }],
      destinations: [{ kind: 'load' }],
    });
    expect(parseOutputs({ output: ['type=docker'], push: false, load: true }).requests).toHaveLength(1);
  });
});
