import { type BuildEvent, ImageDetail, ImageList } from '#protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KilnClient } from '#client';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, textIn } from './image.ts';
import { describeRuns } from './run-cases.ts';

let farm: Farm;
let client: KilnClient;
let context: string;

const dockerfile = [
  'ARG BASE=box:1',
  'FROM $BASE AS tools',
  'RUN echo tool > /tool',
  'FROM $BASE',
  'ENV MODE=fast',
  'COPY --from=tools /tool /tool',
  'RUN echo made > /made',
  'CMD ["cat", "/made"]',
  '',
].join('\n');

beforeAll(async () => {
  farm = await Farm.start();
  client = new KilnClient({ baseUrl: farm.url, token: farm.token });
  context = await farm.folder();
  await write(context, { Dockerfile: dockerfile });
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await farm[Symbol.asyncDispose]();
});

const kiln = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await farm.cli(args).ended;
  if (code !== 0) throw new Error(`kiln ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}\n${farm.logs()}`);
  return stdout;
};

const events = async (id: string): Promise<readonly BuildEvent[]> => {
  const all: BuildEvent[] = [];
  for await (const { event } of client.events(id)) all.push(event);
  return all;
};

/** The image of each instruction, as a build tells it. */
async function told(id: string): Promise<ReadonlyMap<string, string>> {
  const all = await events(id);
  const planned = all.flatMap((event) => (event.type === 'planned' ? (event.instructions ?? []) : []));
  return new Map(
    all.flatMap((event) =>
      event.type === 'intermediate' ? [[planned[event.instruction]?.text ?? '?', event.id] as const] : [],
    ),
  );
}

describe('images that builds made', () => {
  it('are listed by their names, with what each instruction gave; a build that hits gives the same again', async () => {
    const first = await farm.build(context, '-t', 'acme/app:1', '-o', 'type=image');
    const ids = await told(first['kiln.build'].id);
    expect([...ids.keys()].sort()).toEqual(dockerfile.trim().split('\n').slice(1).sort());
    expect(ids.get('CMD ["cat", "/made"]')).toBe(first['containerimage.config.digest']);

    const again = await farm.build(context, '-t', 'acme/app:1', '-o', 'type=image');
    expect(again['kiln.build'].steps).toMatchObject({ run: 0 });
    expect(await told(again['kiln.build'].id)).toEqual(ids);

    const { images } = ImageList.pick({ images: true }).parse(JSON.parse(await kiln('images', '--json', '-a')));
    expect(images).toMatchObject([
      {
        names: ['docker.io/acme/app:1'],
        id: first['containerimage.config.digest'],
        digest: first['containerimage.digest'],
        kept: true,
        buildId: again['kiln.build'].id,
      },
    ]);
    const own = ['ENV MODE=fast', 'COPY --from=tools /tool /tool', 'RUN echo made > /made'].map((text) =>
      ids.get(text),
    );
    expect(images[0]?.intermediates?.map(({ id }) => id)).toEqual(own.toReversed());
    expect(await kiln('images')).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\nacme\/app +1 +[0-9a-f]{12} +/);
    const history = (await kiln('history', 'acme/app:1')).split('\n');
    expect(history[1]).toContain('CMD ["cat" "/made"]');
    expect(history.filter((line) => line.includes('<missing>'))).toHaveLength(1);
  });

  it('tell what their layers hold, and what is not the same in another', async () => {
    await write(context, { Dockerfile: `${dockerfile}RUN echo more > /more && rm /made\n` });
    await farm.build(context, '-t', 'acme/app:more', '-o', 'type=image');
    await write(context, { Dockerfile: dockerfile });
    const { layers } = await client.images.layers('acme/app:more');
    expect(layers.map(({ unpacked }) => unpacked?.files)).toEqual([expect.any(Number), 1, 1, 1]);
    expect(layers.map(({ unpacked }) => unpacked?.wastedBytes)).toEqual([0, 0, 5, 0]);
    expect(layers[3]?.unpacked?.largest).toEqual([{ path: 'more', sizeBytes: 5 }]);
    const { counts, changes, grownBytes } = await client.images.changes('acme/app:more', 'acme/app:1');
    expect([counts, grownBytes]).toEqual([{ added: 1, removed: 1, changed: 0 }, 0]);
    expect(changes).toEqual([
      { path: 'made', change: 'removed', before: 5, after: null },
      { path: 'more', change: 'added', before: null, after: 5 },
    ]);
  });

  it('are pushed later as they were built, and mounted where the registry has their layers', async () => {
    const { digest } = await client.images.image('acme/app:1');
    const one = `${farm.registry.host}/acme/app:1`;
    const two = `${farm.registry.host}/mirror/app:1`;
    await kiln('tag', 'acme/app:1', one);
    await kiln('push', one);
    expect((await see(`docker://${one}`, await farm.folder())).digest).toBe(digest);

    const pushing = (await kiln('push', '-d', 'acme/app:1', two)).trim();
    const outcomes = (await events(pushing)).flatMap((event) =>
      event.type === 'layerPushed' ? [[event.outcome, event.mountedFrom]] : [],
    );
    expect(outcomes).toEqual([
      ['mounted', 'acme/app'],
      ['mounted', 'acme/app'],
      ['mounted', 'acme/app'],
    ]);
    const seen = await see(`docker://${two}`, await farm.folder());
    expect(seen.digest).toBe(digest);
    expect(await textIn(seen, 'made')).toBe('made\n');
    expect((await client.images.image(digest)).repositories).toEqual([
      `${farm.registry.host}/acme/app`,
      `${farm.registry.host}/mirror/app`,
    ]);
  });

  it('that were not kept whole are pushed with the base’s layers from its registry', async () => {
    await write(context, { Dockerfile: `${dockerfile}LABEL other=yes\n` });
    const name = `${farm.registry.host}/acme/light:1`;
    await farm.build(context, '-t', name);
    expect(await client.images.image(name)).toMatchObject({ kept: false });
    await farm.content.remove(new Set((await baseLayers(name)).slice(0, 1)));
    await kiln('push', name);
    expect(await textIn(await see(`docker://${name}`, await farm.folder()), 'made')).toBe('made\n');
  });

  it('lose their names one by one, and end with the last', async () => {
    await kiln('tag', 'acme/app:1', 'acme/app:two');
    expect(await kiln('rmi', 'acme/app:two')).toBe('Untagged: acme/app:two\n');
    const { digest } = await client.images.image('acme/app:1');
    const refused = await farm.cli(['rmi', digest]).ended;
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain('the image has 2 names');
    expect(await kiln('rmi', '-f', digest)).toContain(`Deleted: ${digest}\n`);
    expect((await farm.cli(['history', 'acme/app:1']).ended).stderr).toContain('there is no image "acme/app:1"');
  });
});

describeRuns(() => farm);

async function baseLayers(name: string) {
  const { content } = ImageDetail.parse(await client.images.image(name));
  return content.variants.flatMap(({ history }) => history.flatMap(({ layer }) => layer?.descriptor.digest ?? []));
}
