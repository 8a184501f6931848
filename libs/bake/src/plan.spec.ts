import { describe, expect, it } from 'vitest';
import { bakery, plan, planOf, valueOf } from './bakery.fixture.ts';
import { printPlan } from './print.ts';

describe('a plan', () => {
  it('is printed as docker buildx bake prints it', () => {
    const text = `
      group "default" { targets = ["app"] }
      target "app" {
        description = "the <app>"
        context = "./src/"
        args = { B = "\${upper("b")}", A = "$\${kept}", NONE = null }
        labels = { "a&b" = 1 }
        tags = ["acme/app", "", "acme/app"]
        output = ["type=registry,name=x", "out", { type = "docker", dest = "" }]
        secret = ["type=env,id=a,src=A", { id = "b", src = "f" }]
        ssh = ["default", "k=one,two"]
        cache-from = ["acme/cache", "type=gha,scope=x"]
        attest = ["type=sbom", "type=provenance,disabled=true"]
        network = "host"
        pull = true
        resources = { memory = "1g", cpu-quota = 1000 }
      }
    `;
    expect(printPlan(bakery(text).plan({ targets: [], overrides: [] }))).toBe(`{
  "group": {
    "default": {
      "targets": [
        "app"
      ]
    }
  },
  "target": {
    "app": {
      "description": "the \\u003capp\\u003e",
      "attest": [
        {
          "type": "sbom"
        },
        {
          "disabled": true,
          "type": "provenance"
        }
      ],
      "context": "src",
      "dockerfile": "Dockerfile",
      "args": {
        "A": "$\${kept}",
        "B": "B"
      },
      "labels": {
        "a\\u0026b": "1"
      },
      "tags": [
        "acme/app"
      ],
      "cache-from": [
        {
          "ref": "acme/cache",
          "type": "registry"
        },
        {
          "scope": "x",
          "type": "gha"
        }
      ],
      "secret": [
        {
          "id": "a",
          "env": "A"
        },
        {
          "id": "b",
          "src": "f"
        }
      ],
      "ssh": [
        {
          "id": "default"
        },
        {
          "id": "k",
          "paths": [
            "one",
            "two"
          ]
        }
      ],
      "output": [
        {
          "name": "x",
          "type": "registry"
        },
        {
          "dest": "out",
          "type": "local"
        },
        {
          "type": "docker"
        }
      ],
      "pull": true,
      "network": "host",
      "resources": {
        "memory": "1g",
        "cpu-quota": 1000
      },
      "entitlements": [
        "network.host"
      ]
    }
  }
}`);
  });

  it('has groups within groups, each target once, and the default of what was asked for', () => {
    const text = `
      group "default" { targets = ["b", "all"] }
      group "all" { targets = ["a", "b", "all"] }
      target "a" {}
      target "b" {}
      target "c" {}
    `;
    const all = plan(text);
    expect(Object.keys(all.target)).toEqual(['a', 'b']);
    expect(all.group).toEqual({ all: { targets: ['a', 'b', 'all'] }, default: { targets: ['all', 'b'] } });
    const some = plan(text, {}, { targets: ['c', 'a'] });
    expect(some.group).toEqual({ default: { targets: ['a', 'c'] } });
    expect(Object.keys(plan(text, {}, { targets: ['[bc]'] }).target)).toEqual(['b', 'c']);
    expect(() => plan(text, {}, { targets: ['al'] })).toThrow('there is no target al; did you mean all?');
    expect(() => plan(text, {}, { targets: ['z*'] })).toThrow('no target matches z*');
  });

  it('inherits field by field: some are replaced, some go on', () => {
    const text = `
      target "one" {
        tags = ["one"]
        args = { A = 1, B = 1 }
        cache-from = ["x"]
        no-cache-filter = ["s"]
        platforms = ["linux/amd64"]
      }
      target "two" {
        inherits = ["one"]
        args = { B = 2 }
        annotations = ["a=1"]
      }
      target "default" {
        inherits = ["two", "default"]
        tags = ["three"]
        cache-from = ["y", "x"]
        annotations = ["b=2"]
        platforms = null
      }
    `;
    expect(plan(text).target['default']).toEqual({
      context: '.',
      dockerfile: 'Dockerfile',
      args: { A: '1', B: '2' },
      annotations: ['a=1', 'b=2'],
      tags: ['three'],
      'cache-from': [
        { ref: 'x', type: 'registry' },
        { ref: 'y', type: 'registry' },
      ],
      'no-cache-filter': ['s'],
      platforms: ['linux/amd64'],
    });
  });

  it('is a target for each combination of a matrix, and their group', () => {
    const text = `
      target "app" {
        name = "app-\${v.name}-\${replace(n, ".", "-")}"
        matrix = { v = [{ name = "x", on = true }, { name = "y", on = false }], n = ["1.0", "2.0"] }
        args = { ON = v.on, N = n }
      }
      target "user" { args = { OF = target.app-x-1-0.args.N } }
    `;
    const { group, target } = plan(text, {}, { targets: ['app', 'user'] });
    expect(group['app']?.targets.toSorted()).toEqual(['app-x-1-0', 'app-x-2-0', 'app-y-1-0', 'app-y-2-0']);
    expect(target['app-y-2-0']?.['args']).toEqual({ ON: 'false', N: '2.0' });
    expect(target['user']?.['args']).toEqual({ OF: '1.0' });
    expect(() => plan('target "a" {\n matrix = { v = [1, 2] }\n}')).toThrow(
      /:2:\d+: two targets of the matrix are called a/,
    );
    expect(() => plan('target "a" {\n name = "b"\n}')).toThrow('name goes with a matrix');
    expect(() => plan('target "a" {\n name = "b.c"\n matrix = { v = [1] }\n}')).toThrow('"b.c" is no name');
  });

  it('takes variables from the environment, as their types say', () => {
    const text = `
      variable "PLAIN" {}
      variable "COUNT" { default = 3 }
      variable "ON" { default = false }
      variable "LIST" {
        type = list(number)
        default = []
      }
      variable "MAP" { type = map(string) }
      variable "OBJECT" { type = object({ a = list(string), b = optional(bool) }) }
      target "default" {
        args = { v = jsonencode([PLAIN, COUNT + 1, ON, LIST, MAP, OBJECT]) }
      }
    `;
    const of = (environment: Record<string, string>, variables: Record<string, string> = {}): unknown =>
      JSON.parse((plan(text, { environment, variables }).target['default']?.['args'] as { readonly v: string }).v);
    expect(of({})).toEqual(['', 4, false, [], null, null]);
    const given = { PLAIN: 'p', COUNT: '7', ON: '1', LIST: '1,2', MAP: 'a:b,c:d', OBJECT_JSON: '{"a":["x"]}' };
    expect(of(given)).toEqual(['p', 8, true, [1, 2], { a: 'b', c: 'd' }, { a: ['x'], b: null }]);
    expect(of(given, { PLAIN: 'q', LIST_JSON: '[9]' })).toEqual([
      'q',
      8,
      true,
      [9],
      { a: 'b', c: 'd' },
      { a: ['x'], b: null },
    ]);
    expect(of({ ...given, BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP: 'true' }, { COUNT: '1' })).toEqual([
      '',
      2,
      false,
      [],
      null,
      null,
    ]);
    expect(() => of({ COUNT: 'many' })).toThrow('COUNT of the environment: expected a number, found "many"');
    expect(() => of({ OBJECT: 'x' })).toThrow('given as JSON');
  });

  it('is nothing where its default is null, and what it would be given to is left out', () => {
    const text = 'variable "V" { default = null }\ntarget "default" {\n  args = { V = V, W = "w" }\n}';
    expect(plan(text).target['default']).toMatchObject({ args: { W: 'w' } });
    expect(plan(text).target['default']?.['args']).not.toHaveProperty('V');
    expect(plan(text, { environment: { V: 'v' } }).target['default']).toMatchObject({ args: { V: 'v', W: 'w' } });
  });

  it('is refused where a validation fails, in its own words', () => {
    const text =
      'variable "N" {\n default = 1\n validation {\n  condition = N > 1\n  error_message = "N is ${N}"\n }\n}\n';
    expect(() => bakery(text)).toThrow('docker-bake.hcl:4:17: N is 1');
    expect(() => bakery(text, { environment: { N: '2' } })).not.toThrow();
  });

  it('is made of several files, the later over the earlier; JSON has comments as HCL reads them', () => {
    const files = [
      { name: 'a.hcl', text: 'V = "one"\ntarget "app" {\n tags = [V]\n args = { A = 1 }\n}' },
      {
        name: 'b.json',
        text: '{"//": "x", "V": "two", "target": {"//": "y", "app": {"args": {"B": "${upper(V)}"}}, "more": [{"tags": ["t"]}]}, "variable": {"U": {"default": "u", "type": "string"}}}',
      },
    ];
    const { target } = planOf(bakery(files), { targets: ['app', 'more'] });
    expect(target['app']).toMatchObject({ tags: ['two'], args: { A: '1', B: 'TWO' } });
    expect(target['more']).toMatchObject({ tags: ['t'] });
    expect(() => bakery([{ name: 'b.json', text: '{\n "target": {"a": {"tags": [1,]}}}' }])).toThrow(
      'b.json:2:30: expected a value',
    );
  });

  it('tells what is not known, and what was meant', () => {
    expect(() => plan('target "default" {\n  dockerfil = "x"\n}')).toThrow(
      'docker-bake.hcl:2:3: a target has no dockerfil; did you mean dockerfile?',
    );
    expect(() => plan('target "default" {\n  tags = "x"\n}')).toThrow(
      'docker-bake.hcl:2:10: tags: expected a list, found string',
    );
    expect(() => plan('target "default" {\n  cache-to = ["mode=max"]\n}')).toThrow('"mode=max" has no type');
    expect(bakery('targett "default" {}').notes).toEqual([
      'docker-bake.hcl:1:1: targett is no block of a bake file and has no effect; did you mean target?',
    ]);
  });
});

describe('targets that are contexts', () => {
  it('come with those that need them, and go nowhere', () => {
    const text = `
      target "default" {
        contexts = { base = "target:base" }
      }
      target "base" {
        network = "host"
        tags = ["x"]
        output = ["type=registry"]
      }
    `;
    const { target } = plan(text);
    expect(target['base']).toMatchObject({ output: [{ type: 'cacheonly' }], tags: ['x'] });
    expect(target['default']).toMatchObject({ entitlements: ['network.host'] });
    expect(plan(text, {}, { targets: ['default', 'base'] }).target['base']).toMatchObject({
      output: [{ type: 'registry' }],
    });
  });

  it('lead somewhere, and to no circle', () => {
    const link = (a: string, b: string) => `target "${a}" {\n contexts = { x = "target:${b}" }\n}\n`;
    expect(() => plan(link('default', 'default'))).toThrow('cannot be its own context');
    expect(() => plan(link('default', 'a') + link('a', 'default'))).toThrow("each other's contexts");
    expect(() => plan(link('default', 'a'))).toThrow('there is no target a');
    const platforms = (list: string) => `platforms = [${list}]`;
    const two = `target "default" {\n contexts = { x = "target:a" }\n ${platforms('"linux/amd64", "linux/arm64"')}\n}\ntarget "a" {\n`;
    expect(() => plan(`${two}${platforms('"linux/amd64", "linux/s390x"')}\n}`)).toThrow('only for');
    expect(() => plan(`${two}${platforms('"linux/amd64"')}\n}`)).not.toThrow();
  });
});

describe('what is wrong only now and then', () => {
  it('a matrix may have a target of its own name', () => {
    const text =
      'target "app" {\n matrix = { v = ["app", "web"] }\n name = v\n tags = [v]\n}\ngroup "default" { targets = ["app"] }';
    expect(Object.keys(plan(text).target).sort()).toEqual(['app', 'web']);
  });

  it('groups and contexts that many have are gone through once', () => {
    const levels = Array.from({ length: 60 }, (_, n) => n);
    const groups = levels.map(
      (n) =>
        `group "g${n}" { targets = ["g${n + 1}", "h${n + 1}"] }\ngroup "h${n}" { targets = ["g${n + 1}", "h${n + 1}"] }`,
    );
    const text = `${groups.join('\n')}\ntarget "g60" {}\ntarget "h60" {}`;
    expect(Object.keys(plan(text, {}, { targets: ['g0'] }).target).sort()).toEqual(['g60', 'h60']);
    const diamonds = levels.map(
      (n) =>
        `target "t${n}" { contexts = { a = "target:t${n + 1}", b = "target:u${n + 1}" } }\ntarget "u${n}" { contexts = { a = "target:t${n + 1}", b = "target:u${n + 1}" } }`,
    );
    const linked = `${diamonds.join('\n')}\ntarget "t60" {}\ntarget "u60" {}`;
    expect(Object.keys(plan(linked, {}, { targets: ['t0'] }).target)).toHaveLength(121);
  });

  it('names that all objects have are names like others', () => {
    const text =
      'variable "constructor" { default = "c" }\nvariable "toString" { default = "t" }\ntarget "default" { args = { a = constructor, b = toString } }';
    expect(plan(text).target['default']?.['args']).toEqual({ a: 'c', b: 't' });
    expect(() => plan('target "default" { args = { a = hasOwnProperty } }')).toThrow(
      'there is no variable hasOwnProperty',
    );
    expect(() => plan('target "default" { args = { a = valueOf() } }')).toThrow('there is no function valueOf');
  });

  it('an empty list of the environment is one', () => {
    const text = 'variable "LIST" {\n type = list(string)\n default = ["x"]\n}\ntarget "default" { tags = LIST }';
    expect(plan(text, { environment: { LIST: '' } }).target['default']?.['tags']).toBeUndefined();
  });

  it('numbers without an end are told', () => {
    expect(() => valueOf('pow(10, 1000)')).toThrow('the result is no number');
    expect(() => valueOf('1e308 * 10')).toThrow('too large');
    expect(valueOf('max([for n in range(90000) : n]...)')).toBe(89_999);
    expect(valueOf('length(concat([for n in range(90000) : [n]]...))')).toBe(90_000);
  });

  it('a group or target that there is not is not meant by itself', () => {
    expect(() => plan('group "g" { targets = ["gone"] }\ntarget "app" {}', {}, { targets: ['g'] })).toThrow(
      'there is no target gone',
    );
    expect(() => plan('group "g" { targets = ["g"] }\ntarget "app" {}', {}, { targets: ['g'] })).not.toThrow(
      'did you mean g?',
    );
  });
});
