import { describe, expect, it } from 'vitest';
import { readBuildContexts } from './named-contexts.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('--build-context', () => {
  it('is read in all its forms', () => {
    const given = readBuildContexts([
      'Dir=../a=b',
      'alpine=docker-image://docker.io/library/busybox:1',
      `pinned=docker-image://host:5000/x@${digest}`,
      'lay=oci-layout://out/layout',
      'tagged=oci-layout:///out/layout:v1.2',
      `exact=oci-layout://layout@${digest}`,
      'repo=https://host/x.git#main',
      'page=https://host/page',
      'base=target:Build',
      'host:5000/a/b:1=.',
    ]);
    expect(Object.fromEntries(given)).toEqual({
      dir: { type: 'directory', path: '../a=b' },
      alpine: { type: 'elsewhere', request: { type: 'image', reference: 'docker.io/library/busybox:1' } },
      pinned: { type: 'elsewhere', request: { type: 'image', reference: `host:5000/x@${digest}` } },
      lay: { type: 'layout', path: 'out/layout', tag: '', digest: '' },
      tagged: { type: 'layout', path: '/out/layout', tag: 'v1.2', digest: '' },
      exact: { type: 'layout', path: 'layout', tag: '', digest },
      repo: { type: 'elsewhere', request: { type: 'git', url: 'https://host/x.git#main' } },
      page: { type: 'elsewhere', request: { type: 'http', url: 'https://host/page' } },
      base: { type: 'elsewhere', request: { type: 'target', stage: 'Build' } },
      'host:5000/a/b:1': { type: 'directory', path: '.' },
    });
  });

  it.each(['x', '=x', 'x=', 'scratch=.', 'Context=.', 'a b=.', 'a"=.', 'x=target://y', 'x=ftp://y'])(
    '%j is refused',
    (value) => {
      expect(() => readBuildContexts([value])).toThrow(/--build-context/);
    },
  );
});
