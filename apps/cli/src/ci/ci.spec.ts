import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { ciProvider } from '#client';
import { settingsOf } from './ci-service.ts';
import { readList } from './lists.ts';
import { readSettings } from './settings.ts';

const settings = (given: Readonly<Record<string, string | readonly string[]>>) => readSettings((name) => given[name]);

describe('lists of a CI', () => {
  it.each([
    ['lines', 'a,b\n\n  c  \r\n', ['a,b', 'c']],
    ['commas', 'a, b\nc', ['a', 'b', 'c']],
    ['commas', '"a,b",c', ['a,b', 'c']],
    ['pairs', 'A=1,B=2,3', ['A=1', 'B=2,3']],
    ['pairs', 'A=1,B=2\nC=3', ['A=1,B=2', 'C=3']],
    ['pairs', '{"A":"1, 2","N":3}', ['A=1, 2', 'N=3']],
    ['lines', '["type=local,dest=x","y"]', ['type=local,dest=x', 'y']],
    ['lines', '[not json', ['[not json']],
    ['lines', '"KEY=-----BEGIN\nsay ""hi""\n-----END"\nB=2', ['KEY=-----BEGIN\nsay "hi"\n-----END', 'B=2']],
    ['lines', '', []],
  ] as const)('%s: %j', (form, text, values) => {
    expect(readList('x', text, form)).toEqual(values);
  });

  it('take every value back that was written in quotes', () => {
    const value = fc.string().filter((text) => !/\r/.test(text));
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const text = values.map((each) => `"${each.replaceAll('"', '""')}"`).join('\n');
        expect(readList('x', text, 'lines')).toEqual(values);
      }),
    );
  });

  it('do not lose what comes after a quote that stays open', () => {
    expect(() => readList('secrets', '"A=1\nB=2', 'lines')).toThrow(/secrets: a quote is not closed/);
  });
});

describe('settings', () => {
  it('are flags of kiln build; empty ones are not there', () => {
    const { args } = settings({
      tags: 'r/a:1,r/a:2',
      push: 'true',
      load: 'false',
      pull: '',
      outputs: 'type=oci,dest=x.tar',
      'build-args': ['A=1,B=2'],
      context: '-x',
    });
    expect(args).toEqual([
      ...['--build-arg=A=1,B=2', '--output=type=oci,dest=x.tar', '--push', '--tag=r/a:1', '--tag=r/a:2'],
      ...['--', '-x'],
    ]);
  });

  it('keep the values of secrets out of the arguments, and out of errors', () => {
    const { args, environment } = settings({ secrets: 'key=s3cret\n"a,b=x"', 'github-token': 'ghs_1', token: 'kt_1' });
    expect(args.join(' ')).not.toMatch(/s3cret|ghs_1|kt_1/);
    expect(args).toContain('--secret=id=key,env=KILN_CI_SECRET_0');
    expect(args).toContain('--secret="id=a,b",env=KILN_CI_SECRET_1');
    expect(environment).toMatchObject({ KILN_CI_SECRET_0: 's3cret', KILN_CI_SECRET_1: 'x', KILN_TOKEN: 'kt_1' });
    expect(() => settings({ secrets: 's3cret' })).toThrow(/^secrets has an entry without NAME=$/);
  });

  it('name where the Dockerfile lies, as far as that can be told', () => {
    for (const [context, file, dockerfile] of [
      ['', '', 'Dockerfile'],
      ['./web/', '', 'web/Dockerfile'],
      ['web', 'docker/web.Dockerfile', 'docker/web.Dockerfile'],
      ['https://git.example.com/x.git#main', '', 'Dockerfile'],
    ] as const)
      expect(settings({ context, file }).dockerfile).toBe(dockerfile);
  });

  it.each(['maybe', 'tru'])('push: %s', (push) => {
    expect(() => settings({ push })).toThrow(/push is true or false/);
  });
});

describe('a CI', () => {
  it.each([
    [{ GITHUB_ACTIONS: 'true' }, 'github'],
    [{ GITLAB_CI: 'true' }, 'gitlab'],
    [{ BUILDKITE: 'true' }, 'buildkite'],
    [{ CIRCLECI: 'true' }, 'circleci'],
    [{ JENKINS_URL: 'https://ci.example.com' }, 'jenkins'],
    [{ CI: 'woodpecker', DRONE: 'true' }, 'woodpecker'],
    [{ DRONE: 'true' }, 'drone'],
    [{ CI: 'true' }, undefined],
    [{ GITHUB_ACTIONS: '' }, undefined],
  ] as const)('is known by its environment: %j', (environment, service) => {
    expect(ciProvider(environment)).toBe(service);
  });

  it('hands settings on under names of its own', () => {
    const environment = {
      'INPUT_BUILD-ARGS': 'runner',
      PLUGIN_BUILD_ARGS: 'plugin',
      BUILDKITE_PLUGIN_KILN_BUILD_ARGS_0: 'first',
      BUILDKITE_PLUGIN_KILN_BUILD_ARGS_1: 'second',
      KILN_INPUT_BUILD_ARGS: 'input',
    };
    const of = (service: Parameters<typeof settingsOf>[0]) => settingsOf(service, environment)('build-args');
    expect(of('github')).toBe('runner');
    expect(of('drone')).toBe('plugin');
    expect(of('buildkite')).toEqual(['first', 'second']);
    expect(of('jenkins')).toBe('input');
  });
});
