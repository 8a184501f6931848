import { describe, expect, it } from 'vitest';
import { bakery, planOf } from '../bakery.fixture.ts';
import type { BakeInput } from '../bake.ts';
import { parseDotEnv } from './dot-env.ts';
import { interpolate } from './interpolate.ts';

const compose = (text: string, more: Partial<BakeInput> = {}) => bakery([{ name: 'compose.yaml', text }], more);

describe('a compose file', () => {
  it('is a target for each service that is built', () => {
    const text = `
x-common: &common
  args: { COMMON: "1" }
services:
  app.web:
    image: acme/web
    environment: [FROM_SERVICE=s]
    env_file: web.env
    build:
      <<: *common
      context: ./web/
      dockerfile: Dockerfile.web
      target: final
      args: ['A=\${A:-a}', FROM_SERVICE, FROM_FILE, UNSET, EMPTY=]
      labels: [l=1]
      cache_from: [acme/cache]
      cache_to: ["type=local,dest=c"]
      secrets: [token, { source: file }]
      ssh: [default, key=/k]
      platforms: [linux/amd64]
      additional_contexts: { base: "service:base", dir: ./d/, image: "docker-image://x" }
      extra_hosts: ["a:1.2.3.4", "a:1.2.3.5", "v6:::1"]
      network: none
      shm_size: 128m
      ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 3 }
      provenance: mode=max
      sbom: false
      pull: true
  base:
    build: ./base
    image: acme/base
  base2:
    extends: base
    build:
      dockerfile_inline: FROM scratch
      x-bake:
        tags: one two
        platforms: [linux/arm64]
        output: type=docker
        no-cache: true
        contexts: { x: y }
  db:
    image: postgres
secrets:
  token: { environment: TOKEN }
  file: { file: ./f }
`;
    const files = { readFile: (path: string) => (path === 'web.env' ? 'FROM_FILE="of the file"\n' : undefined) };
    const { group, target } = planOf(compose(text, { ...files, dotEnv: 'A=dot\n' }));
    expect(group['default']?.targets).toEqual(['app_web', 'base', 'base2']);
    expect(target['base']).toEqual({ context: 'base', dockerfile: 'Dockerfile', tags: ['acme/base'] });
    expect(target['base2']).toEqual({
      context: 'base',
      contexts: { x: 'y' },
      dockerfile: 'Dockerfile',
      'dockerfile-inline': 'FROM scratch',
      tags: ['one', 'two'],
      platforms: ['linux/arm64'],
      output: [{ type: 'docker' }],
      'no-cache': true,
    });
    expect(target['app_web']).toEqual({
      context: 'web',
      contexts: { base: 'target:base', dir: 'd', image: 'docker-image://x' },
      dockerfile: 'Dockerfile.web',
      target: 'final',
      args: { A: 'dot', FROM_SERVICE: 's', FROM_FILE: 'of the file', EMPTY: '' },
      labels: { l: '1' },
      tags: ['acme/web'],
      'cache-from': [{ ref: 'acme/cache', type: 'registry' }],
      'cache-to': [{ dest: 'c', type: 'local' }],
      secret: [
        { id: 'token', env: 'TOKEN' },
        { id: 'file', src: 'f' },
      ],
      ssh: [{ id: 'default' }, { id: 'key', paths: ['/k'] }],
      platforms: ['linux/amd64'],
      'extra-hosts': { a: '1.2.3.4,1.2.3.5', v6: '::1' },
      network: 'none',
      'shm-size': '128MiB',
      ulimits: ['nofile=1:2', 'nproc=3:3'],
      attest: [
        { disabled: true, type: 'sbom' },
        { mode: 'max', type: 'provenance' },
      ],
      pull: true,
    });
  });

  it('goes under another, and under a bake file', () => {
    const files = [
      { name: 'compose.yml', text: 'services:\n  a:\n    build: ./x\n' },
      { name: 'more.yaml', text: 'services:\n  a:\n    build:\n      args: { B: 2 }\n' },
      { name: 'docker-bake.override.hcl', text: 'target "a" {\n tags = ["t"]\n}' },
    ];
    expect(planOf(bakery(files)).target['a']).toEqual({
      context: 'x',
      dockerfile: 'Dockerfile',
      args: { B: '2' },
      tags: ['t'],
    });
  });

  it('knows its project by what the files say, else by the environment', () => {
    const service = 'services:\n  a:\n    build:\n      args: { P: "${COMPOSE_PROJECT_NAME}" }\n';
    const of = (text: string, environment: Readonly<Record<string, string>> = {}) =>
      planOf(bakery([{ name: 'compose.yaml', text }], { environment })).target['a']?.args;
    expect(of(service)).toEqual({ P: 'bake' });
    expect(of(service, { COMPOSE_PROJECT_NAME: 'env' })).toEqual({ P: 'env' });
    expect(of(`name: "n\${X:-1}"\n${service}`, { COMPOSE_PROJECT_NAME: 'env' })).toEqual({ P: 'n1' });
  });

  it('is one target for services whose names come out the same', () => {
    const text =
      'services:\n  a.b:\n    build: { dockerfile: D, args: { X: 1 } }\n  a_b:\n    build: { args: { Y: 2 } }\n';
    expect(planOf(bakery([{ name: 'compose.yaml', text }])).target).toEqual({
      a_b: { context: '.', dockerfile: 'D', args: { X: '1', Y: '2' } },
    });
  });

  it.each([
    ['services:\n  a:\n    build:\n      contxt: x\n', 'compose.yaml:4:15: build has no contxt; did you mean context?'],
    ['services:\n  a:\n    build: ${X:?say X}\n', 'compose.yaml:3:12: the variable X is required: say X'],
    ['services:\n  a: [\n', 'compose.yaml:'],
    ['include: [x]\nservices: {}\n', 'compose.yaml:1:10: include is not supported'],
    ['services:\n  a:\n    build: .\n    env_file: no\n', 'env_file: no cannot be read'],
    ['services:\n  a:\n    build: { secrets: [s] }\nsecrets: { s: { external: true } }\n', 'the secret s is external'],
    ['services:\n  a:\n    build: { secrets: [tokn] }\nsecrets: { token: { file: t } }\n', 'did you mean token?'],
    ['services:\n  a: { command: x }\n', 'compose.yaml:2:6: the service a has neither an image nor a build'],
    ['services:\n', 'compose.yaml:1:10: services has nothing in it'],
    ['', 'is empty'],
    [
      `a: &a [x]\n${Array.from({ length: 24 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? 'a' : `b${i - 1}`}, *${i === 0 ? 'a' : `b${i - 1}`}]`).join('\n')}\n`,
      'more than 200000 values',
    ],
  ])('%j is refused', (text, message) => {
    expect(() => compose(text)).toThrow(message);
  });
});

describe('variables of compose', () => {
  const lookup = (name: string) => ({ A: 'a', EMPTY: '' })[name];

  it.each([
    ['$A ${A}b $$A $ 5', 'a ab $A $ 5'],
    ['${EMPTY:-d}${EMPTY-d}${X-d}${X:-${A}}', 'dda'],
    ['${A:+yes}${EMPTY:+yes}${EMPTY+yes}${X+yes}', 'yesyes'],
  ])('%s', (text, expected) => {
    expect(interpolate(text, lookup)).toBe(expected);
  });

  it('come from .env, as shells write them', () => {
    const text = '# c\nA=1 # c\nexport B="x\\n$A ${C:-c}"\nD=\'$A\'\nE: e\nF="two\nlines"\n';
    expect(Object.fromEntries(parseDotEnv(text, () => undefined))).toEqual({
      A: '1',
      B: 'x\n1 c',
      D: '$A',
      E: 'e',
      F: 'two\nlines',
    });
  });
});

describe('a .env file', () => {
  it('has quotes that begin a value, names of the environment, and comments', () => {
    const text = ["A=it's fine", 'B="two', 'lines"', 'C', "D='$A'", 'E=x # y', 'export F=1', 'no line', 'G=end'].join(
      '\n',
    );
    expect([...parseDotEnv(text, (name) => (name === 'C' ? 'outside' : undefined))]).toEqual([
      ['A', "it's fine"],
      ['B', 'two\nlines'],
      ['C', 'outside'],
      ['D', '$A'],
      ['E', 'x'],
      ['F', '1'],
      ['G', 'end'],
    ]);
  });

  it('may not hold itself by an alias', () => {
    const text = 'services:\n  app: &a\n    build: .\n    x-loop: *a\n';
    expect(() => bakery([{ name: 'compose.yaml', text }])).toThrow('an alias stands in what it is an alias of');
  });
});
