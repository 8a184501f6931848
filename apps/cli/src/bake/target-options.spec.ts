import { Bakery } from '#bake';
import { type Bytes, collect } from '#std';
import { describe, expect, it } from 'vitest';
import { listText } from './lists.ts';
import { targetBuilds } from './target-options.ts';

const baked = (text: string): Bakery =>
  new Bakery({
    files: [{ name: 'docker-bake.hcl', text }],
    ...{ variables: {}, environment: {}, builtins: {}, machine: { nowMs: () => 0, homeDir: '/' } },
  });

const builds = (text: string, allow: readonly string[] = []) =>
  targetBuilds(
    baked(text).plan({ targets: [], overrides: [] }).targets,
    { progress: 'auto', allow },
    { SOURCE_DATE_EPOCH: '1' },
  );

async function* none(): Bytes {}

describe('a target as a build', () => {
  it('lends what its contexts need, and never another’s secret by the same id', () => {
    const text = (own: string, base: string) =>
      `target "default" {\n contexts = { base = "target:base" }\n secret = [{ id = "npm", ${own} }]\n}\ntarget "base" { secret = [{ id = "npm", ${base} }, { id = "more", env = "M" }] }`;
    const [build] = builds(text('src = "a"', 'src = "a"'));
    expect(build?.options.run.secrets).toMatchObject([{ id: 'npm', file: 'a' }, { id: 'more' }]);
    expect(() => builds(text('src = "a"', 'src = "b"'))).toThrow(
      'target default: its secret npm is another than that of its context base',
    );
    const agents =
      'target "default" {\n contexts = { base = "target:base" }\n ssh = ["default"]\n}\ntarget "base" { ssh = ["default=/other"] }';
    expect(() => builds(agents)).toThrow('its SSH agent default is another than that of its context base');
  });

  it('has the flags that it would have on a command line', () => {
    const [build] = builds(`target "default" {
      context = "cwd://src"
      dockerfile = "sub/Dockerfile"
      args = { A = "1,2" }
      labels = { l = "a,\\"b\\"" }
      tags = ["acme/app"]
      contexts = { files = "cwd://files", image = "docker-image://x" }
      output = [{ type = "image", name = "a,b", push = true }]
      platforms = ["linux/arm64"]
      secret = [{ id = "s", src = "a,b" }]
      extra-hosts = { h = "1.2.3.4,1.2.3.5" }
      shm-size = "64m"
      no-cache = true
      network = "none"
      resources = { memory = "1g", cpu-quota = 50000, cpu-shares = 1 }
      attest = ["type=sbom"]
    }`);
    expect(build?.options).toMatchObject({
      path: 'src',
      file: 'src/sub/Dockerfile',
      tags: ['acme/app'],
      buildArgs: { A: '1,2', SOURCE_DATE_EPOCH: '1' },
      labels: { l: 'a,"b"' },
      platforms: ['linux/arm64'],
      noCache: true,
      outputs: { requests: [{ type: 'image', push: true, names: ['a', 'b'] }] },
      run: {
        request: {
          network: 'none',
          addHosts: [
            { name: 'h', address: '1.2.3.4' },
            { name: 'h', address: '1.2.3.5' },
          ],
          ...{ shmSizeBytes: 64 * 1024 ** 2, memoryBytes: 1024 ** 3, cpus: 0.5 },
        },
        secrets: [{ id: 's', file: 'a,b' }],
      },
    });
    expect(Object.fromEntries(build?.options.buildContexts ?? [])).toMatchObject({
      files: { type: 'directory', path: 'files' },
      image: { type: 'elsewhere' },
    });
    expect(build?.notes).toEqual([
      'resources cpu-shares have no effect: memory, cpu-quota and cpu-period limit RUN steps',
    ]);
  });

  it('brings those that are its contexts, with their secrets, and may read their Dockerfiles again', async () => {
    const all = builds(`
      group "default" { targets = ["a", "b"] }
      target "a" { contexts = { x = "target:c" } }
      target "b" { contexts = { y = "target:c" } }
      target "c" {
        dockerfile-inline = "FROM scratch"
        secret = ["id=s,env=S"]
        contexts = { z = "target:d" }
      }
      target "d" {}
    `);
    expect(all.map(({ name }) => name)).toEqual(['a', 'b']);
    for (const { options } of all) {
      expect([...(options.links?.builds.keys() ?? [])]).toEqual(['c', 'd']);
      expect(options.run.secrets).toEqual([{ id: 's', variable: 'S' }]);
      const linked = options.links?.builds.get('c');
      expect(linked?.links).toEqual({ z: 'd' });
      expect((await collect(linked?.stdin.stream ?? none(), 100)).toString()).toBe('FROM scratch');
    }
  });

  it('gets what it asks for beyond the sandbox only where that is granted', () => {
    const text = 'target "default" {\n network = "host"\n}';
    expect(() => builds(text)).toThrow('the target default asks for more than the sandbox gives: network.host');
    expect(builds(text, ['network.host'])[0]?.options.run.request).toMatchObject({
      network: 'host',
      allow: ['network.host'],
    });
    expect(() => builds('target "default" {\n platforms = ["no"]\n}')).toThrow(/^target default: --platform/);
  });
});

describe('--list', () => {
  const text = `
    variable "V" {
      type = list(string)
      default = ["a"]
      description = "what it is"
    }
    variable "NONE" { type = string }
    group "all" { targets = ["b", "a"] }
    target "a" { description = "the first" }
    target "b" {}
    target "_own" {}
  `;

  it('tells of targets and variables, as a table or as JSON', () => {
    expect(listText(baked(text), 'targets')).toBe('TARGET  DESCRIPTION\na       the first\nall     a, b\nb\n');
    expect(listText(baked(text), 'variables')).toBe(
      'VARIABLE  TYPE            VALUE   DESCRIPTION\nNONE      string          <null>\nV         list of string  ["a"]   what it is\n',
    );
    expect(JSON.parse(listText(baked(text), 'type=targets,format=json'))).toContainEqual({
      name: 'all',
      description: 'a, b',
      group: true,
    });
    expect(() => listText(baked(text), 'things')).toThrow('--list things is not known');
  });
});
