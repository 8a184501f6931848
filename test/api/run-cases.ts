import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { BuildView, type ImageContent } from '#protocol';
import { claimed, type Farm, smallTar, submitted } from './farm.ts';
import { keptImage } from './kept-image.ts';

/** Running images, against a farm that is there for other tests. */
export function describeRuns(the: () => Farm): void {
  const run = (image: string, body?: object, token = the().tokens.mine) =>
    request(the().url)
      .post(`/v1/images/${encodeURIComponent(image)}/run`)
      .set({ authorization: `Bearer ${token}` })
      .send(body);

  const known = async (name: string): Promise<ImageContent> =>
    await keptImage(the(), await claimed(the(), await submitted(the())), name);

  describe('a run', () => {
    it('is a build of an image that the project has, else of what a registry may have', async () => {
      const { descriptor, variants } = await known('run');
      const image = descriptor.digest;
      const asked = { command: ['npm', 'test'], env: { CI: '1' }, platform: 'linux/arm64', memoryBytes: 1024 };
      const answer = await run('acme/run:1', { ...asked, secrets: { token: 'aGVsbG8=' } });
      expect(answer.status).toBe(202);
      const build = BuildView.parse(answer.body);
      expect(answer.headers['location']).toBe(`/v1/builds/${build.id}`);
      expect(build.request).toMatchObject({
        ...{ call: 'run', image, reference: 'acme/run:1', platforms: ['linux/arm64'], memoryBytes: 1024, tags: [] },
        run: { command: ['npm', 'test'], env: { CI: '1' }, tmpfs: [] },
        secretIds: ['token'],
      });
      expect(JSON.stringify(answer.body)).not.toContain('aGVsbG8');
      const digits = variants[0]?.id.slice('sha256:'.length, 'sha256:'.length + 12);
      expect((await run(digits ?? '')).body).toMatchObject({ request: { image, pull: false, run: { command: [] } } });
      for (const body of [{ pull: 'always' }, { pull: 'missing' }]) {
        const name = body.pull === 'always' ? 'acme/run:1' : 'acme/other:1';
        const elsewhere = BuildView.parse((await run(name, body)).body).request;
        expect(elsewhere).toMatchObject({ reference: name, pull: body.pull === 'always' });
        expect(elsewhere).not.toHaveProperty('image');
      }
    });

    it('wants a token that may build', async () => {
      expect((await run('acme/run:1', {}, the().tokens.reader)).status).toBe(403);
      expect((await run('acme/run:1', {}, 'nobody')).status).toBe(401);
    });

    it.each([
      ['acme/run:1', { command: ['a\0b'] }, 'command'],
      ['acme/run:1', { env: { 'A=B': '' } }, 'env'],
      ['acme/run:1', { workdir: 'srv' }, 'workdir'],
      ['acme/run:1', { tmpfs: [{ target: 'x' }] }, 'tmpfs'],
      ['acme/run:1', { platform: 'nowhere/none' }, 'platform'],
      ['acme/run:1', { tags: ['x'] }, 'tags'],
      ['acme/run:1', { pull: 'often' }, 'pull'],
      ['UPPER CASE', {}, 'image'],
    ])('is refused by the field that is wrong: %s %j', async (image, body, field) => {
      const { status, text } = await run(image, body);
      expect([status, text]).toEqual([400, expect.stringContaining(field)]);
    });

    it('as a build says all of it, and nothing else says any', async () => {
      const archive = await smallTar();
      const submit = (body: object) =>
        request(the().url)
          .post('/v1/builds')
          .set({ authorization: `Bearer ${the().tokens.mine}` })
          .field('request', JSON.stringify(body), { contentType: 'application/json' })
          .attach('context', archive, { filename: 'context.tar' });
      const whole = { call: 'run', reference: 'acme/other:1', run: { command: ['true'] } };
      expect((await submit(whole)).status).toBe(202);
      expect((await submit({ ...whole, call: 'build' })).status).toBe(400);
      expect((await submit({ ...whole, run: undefined })).body).toMatchObject({ field: 'run' });
      expect((await submit({ ...whole, reference: undefined })).body).toMatchObject({ field: 'reference' });
      expect((await submit({ ...whole, tags: ['x'] })).body).toMatchObject({ field: 'tags' });
      expect((await submit({ image: digestOf('x') })).body).toMatchObject({ field: 'image' });
      expect((await submit({ call: 'push', tags: ['x'] })).body).toMatchObject({ field: 'image' });
    });
  });
}
