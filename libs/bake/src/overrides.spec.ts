import { describe, expect, it } from 'vitest';
import { plan } from './bakery.fixture.ts';

describe('--set', () => {
  const text = `
    target "app" {
      tags = ["a"]
      args = { A = 1 }
      output = ["type=image,name=x"]
      secret = ["id=s,src=f"]
    }
    target "lib" {}
  `;
  const set = (...overrides: readonly string[]) =>
    plan(text, { environment: { E: 'of the environment' } }, { targets: ['app', 'lib'], overrides }).target;

  it('changes fields, of one target or of all that fit', () => {
    expect(set('app.args.A=2', 'app.args.E', 'app.args.NONE', '*.platform=linux/arm64', 'l?b.context=x')).toMatchObject(
      {
        app: { args: { A: '2', E: 'of the environment' }, platforms: ['linux/arm64'] },
        lib: { context: 'x', platforms: ['linux/arm64'] },
      },
    );
    expect(set('app.tags=b', 'app.tags=c')['app']).toMatchObject({ tags: ['b', 'c'] });
    expect(set('app.tags+=b')['app']).toMatchObject({ tags: ['a', 'b'] });
    expect(set('app.secret.s=type=env,src=V')['app']).toMatchObject({ secret: [{ id: 's', env: 'V' }] });
    expect(set('*.push=true')).toMatchObject({
      app: { output: [{ type: 'image', name: 'x', push: 'true' }] },
      lib: { output: [{ type: 'image', push: 'true' }] },
    });
    expect(set('*.load=true')['lib']).toMatchObject({ output: [{ type: 'docker' }] });
    expect(set('app.no-cache=true', 'app.pull=0', 'app.labels.a.b=c')['app']).toMatchObject({
      'no-cache': true,
      pull: false,
      labels: { 'a.b': 'c' },
    });
  });

  it.each([
    ['app', 'is not target.key=value'],
    ['app.tag=x', 'tag is not known; did you mean tags?'],
    ['ap.tags=x', 'there is no such target; did you mean app?'],
    ['app.args=x', 'args needs a name'],
    ['app.tags', 'has no value'],
    ['app.pull=maybe', 'pull is true or false'],
    ['app.secret.t=src=x', 'the target declares no secret t'],
    ['app.resources.size=1', 'resources have no size'],
  ])('%s is refused', (override, message) => {
    expect(() => set(override)).toThrow(message);
  });
});
