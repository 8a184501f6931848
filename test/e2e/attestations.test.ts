import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { digestOf, IndexSchema, ManifestSchema, mediaType } from '#oci';
import { ImageDetail } from '#protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { untar } from './file-tree.ts';

const run = promisify(execFile);
const hex = (digest: string): string => digest.slice('sha256:'.length);
const PASSWORD = 'correct-horse-battery';
const RUN = `RUN --mount=type=secret,id=password echo built > /srv/built; : ${PASSWORD}`;
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const Told = z.object({
  _type: z.string(),
  predicateType: z.string(),
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: z.string() }) })),
  predicate: z.looseObject({}),
});
const Dependencies = z.object({
  buildDefinition: z.object({
    resolvedDependencies: z.array(z.object({ name: z.string(), content: z.string().optional() })),
  }),
});

let farm: Farm;
let context: string;
let scanner: string;
let app: string;

beforeAll(async () => {
  farm = await Farm.start();
  context = await farm.folder();
  await write(context, {
    Dockerfile: [
      'FROM box:1',
      'ARG WORD=none',
      'ARG BUILDKIT_SBOM_SCAN_CONTEXT=true',
      'COPY file /srv/file',
      RUN,
      '',
    ].join('\n'),
    file: 'a file\n',
  });
  scanner = `${farm.registry.host}/acme/scanner:1`;
  app = `${farm.registry.host}/acme/app:1`;
  await makeScanner(
    scanner,
    [
      'echo "scans with depth $BUILDKIT_SCAN_DEPTH"',
      'touch /tmp/room /root/trace',
      '! touch $BUILDKIT_SCAN_SOURCE/written 2>/dev/null || exit 3',
      'files=$(cd $BUILDKIT_SCAN_SOURCE/srv && ls | sed "s/.*/{\\"fileName\\":\\"&\\"}/" | paste -sd, -)',
      'say() { echo "{\\"_type\\":\\"https://in-toto.io/Statement/v0.1\\",\\"predicateType\\":\\"https://spdx.dev/Document\\",\\"predicate\\":{\\"spdxVersion\\":\\"SPDX-2.3\\",\\"files\\":[$files]}}"; }',
      'say > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json',
      '[ -z "$BUILDKIT_SCAN_SOURCE_EXTRAS" ] || for each in "$BUILDKIT_SCAN_SOURCE_EXTRAS"*; do',
      '  files=$(ls $each | wc -l | sed "s/.*/{\\"fileName\\":\\"&\\"}/")',
      '  say > $BUILDKIT_SCAN_DESTINATION/${each##*/}.spdx.json',
      'done',
    ].join('\n'),
  );
});
afterAll(async () => farm[Symbol.asyncDispose]());

/** An image that speaks the protocol of BuildKit's SBOM generators, pushed under a name. */
async function makeScanner(name: string, script: string): Promise<void> {
  const dir = await farm.folder();
  await write(dir, {
    Dockerfile: 'FROM box:1\nCOPY --chmod=755 scan /scan\nENTRYPOINT ["/scan"]\n',
    scan: `#!/bin/sh\nset -e\n${script}\n`,
  });
  await farm.build(dir, '-t', name, '--push');
}

/** A document at the farm's registry, as it is. */
async function raw(name: string): Promise<unknown> {
  return JSON.parse((await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`])).stdout);
}

async function blobAt(digest: string): Promise<string> {
  const response = await fetch(`http://${farm.registry.host}/v2/acme/app/blobs/${digest}`);
  expect(response.status).toBe(200);
  return await response.text();
}

/** The image of a tag, and what is told of it: of the first platform. */
async function attested(name: string) {
  const repository = name.slice(0, name.lastIndexOf(':'));
  const index = IndexSchema.parse(await raw(name));
  const [image, attestation] = index.manifests;
  const document = z
    .looseObject({ artifactType: z.string().optional(), subject: z.looseObject({ digest: z.string() }).optional() })
    .parse(await raw(`${repository}@${attestation?.digest}`));
  const manifest = ManifestSchema.parse(document);
  const texts: string[] = [];
  for (const { digest } of manifest.layers) texts.push(await blobAt(digest));
  return {
    index,
    image,
    attestation,
    document,
    manifest,
    texts,
    told: texts.map((text) => Told.parse(JSON.parse(text))),
  };
}

const attest = (): readonly string[] => [
  '--provenance=mode=max',
  '--attest',
  `type=sbom,generator=${scanner},depth=3`,
  ...['--build-arg', `WORD=the ${PASSWORD}`, '--secret', 'id=password,env=PASSWORD'],
];
const secret = { env: { PASSWORD } };

describe('an image with attestations', () => {
  it('has them in its index, each about the image', async () => {
    const first = await farm.kilnBuild([context, '-t', app, '--push', ...attest()], secret);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain('scans with depth 3');
    const { index, image, attestation, document, manifest, told } = await attested(app);
    expect(index.manifests).toHaveLength(2);
    expect(attestation).toMatchObject({
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': image?.digest,
      },
    });
    expect(document).toMatchObject({
      artifactType: 'application/vnd.docker.attestation.manifest.v1+json',
      subject: { digest: image?.digest, mediaType: mediaType.ociManifest },
    });
    expect(manifest.layers.map(({ mediaType: type, annotations }) => [type, annotations])).toEqual(
      ['https://spdx.dev/Document', 'https://spdx.dev/Document', 'https://slsa.dev/provenance/v1'].map((type) => [
        mediaType.inToto,
        { 'in-toto.io/predicate-type': type },
      ]),
    );
    for (const { subject } of told)
      expect(subject).toEqual([
        {
          name: `pkg:docker/${encodeURIComponent(farm.registry.host)}/acme/app@1?platform=linux%2F${architecture}`,
          digest: { sha256: hex(image?.digest ?? '') },
        },
      ]);
    // The Dockerfile itself, and the file that is copied.
    expect(told[1]?.predicate).toMatchObject({ files: [{ fileName: '2' }] });
    expect(told[0]?.predicate).toEqual({
      spdxVersion: 'SPDX-2.3',
      files: [{ fileName: 'built' }, { fileName: 'file' }],
    });
  });

  it('is the same image, and counts the same steps, as without them', async () => {
    const plain = await farm.build(context, '-t', `${app}-plain`, '--push', '--build-arg', `WORD=the ${PASSWORD}`);
    expect(plain['kiln.build'].steps).toEqual({ total: 2, hit: 2, run: 0, joined: 0 });
    expect(plain['containerimage.digest']).toBe((await attested(app)).image?.digest);
    await run('skopeo', ['copy', '--src-tls-verify=false', `docker://${app}`, `dir:${await farm.folder()}`]);
  });

  it('tells how it was made, and what of other builds is in it, but no secret', async () => {
    const before = await attested(app);
    const again = await farm.kilnBuild([context, '-t', app, '--push', ...attest()], secret);
    expect(again.code, again.stderr).toBe(0);
    // Nobody scans twice what somebody has scanned.
    expect(again.stderr).not.toContain('scans with depth');
    const { texts, told, manifest } = await attested(app);
    expect(manifest.layers.slice(0, 2)).toEqual(before.manifest.layers.slice(0, 2));
    const provenance = told[2]?.predicate;
    expect(provenance).toMatchObject({
      buildDefinition: {
        externalParameters: { args: { WORD: 'the ***' }, secrets: ['password'], dockerfile: 'Dockerfile' },
        internalParameters: {
          project: 'default',
          reused: [{ step: 'COPY file /srv/file' }, { step: RUN.replace(PASSWORD, '***') }],
        },
      },
      runDetails: { builder: { id: 'http://farm.example.com' }, metadata: { kiln_hermetic: false } },
    });
    const { resolvedDependencies } = Dependencies.parse(provenance).buildDefinition;
    expect(resolvedDependencies.map(({ name }) => name)).toEqual(['Dockerfile', 'docker.io/library/box', 'context']);
    const text = Buffer.from(resolvedDependencies[0]?.content ?? '', 'base64').toString();
    expect(text).toBe((await readFile(join(context, 'Dockerfile'), 'utf8')).replace(PASSWORD, '***'));
    for (const each of texts) expect(each).not.toContain(PASSWORD);
  });

  it('has them for who asks the farm', async () => {
    const headers = { authorization: `Bearer ${farm.token}` };
    const get = (path: string) => fetch(`${farm.url}/v1/images/${encodeURIComponent(app)}${path}`, { headers });
    const { content } = ImageDetail.parse(await (await get('')).json());
    const told = content.variants.flatMap(({ attestations = [] }) => attestations);
    const { texts, manifest } = await attested(app);
    expect(told.map(({ descriptor }) => descriptor.digest)).toEqual(manifest.layers.map(({ digest }) => digest));
    for (const [at, { descriptor }] of told.entries()) {
      const answer = await get(`/attestations/${descriptor.digest}`);
      expect(answer.headers.get('content-type')).toBe(mediaType.inToto);
      expect(await answer.text()).toBe(texts[at]);
    }
    // Nothing but what is said of it, whatever else the farm has.
    expect((await get(`/attestations/${content.variants[0]?.digest}`)).status).toBe(404);
    expect((await get('/attestations/sha256:1')).status).toBe(400);
  });

  it('is pushed elsewhere with them', async () => {
    const { code, stderr } = await farm.cli(['push', app, `${farm.registry.host}/acme/app:2`]).ended;
    expect(code, stderr).toBe(0);
    expect(await raw(`${farm.registry.host}/acme/app:2`)).toEqual(await raw(app));
  });

  it('has them in a layout, as manifests of the older kind where that is asked for', async () => {
    const dest = join(await farm.folder(), 'layout');
    await farm.build(
      context,
      '-o',
      `type=oci,tar=false,oci-artifact=false,dest=${dest}`,
      '--provenance=mode=min,version=v0.2,reproducible=true,builder-id=https://ci.example/1',
    );
    const document = async (digest = ''): Promise<unknown> =>
      JSON.parse(await readFile(join(dest, 'blobs/sha256', hex(digest)), 'utf8'));
    const top = IndexSchema.parse(JSON.parse(await readFile(join(dest, 'index.json'), 'utf8'))).manifests[0];
    const [, attestation] = IndexSchema.parse(await document(top?.digest)).manifests;
    const read = await document(attestation?.digest);
    expect(read).not.toHaveProperty('artifactType');
    const { config, layers } = ManifestSchema.parse(read);
    expect(await document(config.digest)).toMatchObject({ os: 'unknown', rootfs: { diff_ids: [layers[0]?.digest] } });
    const told = Told.parse(await document(layers[0]?.digest));
    expect(told.subject[0]?.name).toBe('_');
    expect(told.predicateType).toBe('https://slsa.dev/provenance/v0.2');
    expect(told.predicate).toMatchObject({
      builder: { id: 'https://ci.example/1' },
      invocation: { parameters: { buildArgs: [] } },
      metadata: { reproducible: true, completeness: { parameters: false } },
    });
    expect(JSON.stringify(told)).not.toContain('"content"');
  });
});

describe('files with attestations', () => {
  it('have them beside them, about every file', async () => {
    const dest = join(await farm.folder(), 'files.tar');
    const output = `type=tar,attestation-prefix=app-,dest=${dest}`;
    await farm.build(context, '-o', output, '--provenance=true', `--sbom=generator=${scanner}`);
    const root = await untar(dest, `${dest}.d`);
    for (const name of ['provenance.json', 'sbom.spdx.json', 'sbom-context.spdx.json']) {
      const { subject } = Told.parse(JSON.parse(await readFile(join(root, `app-${name}`), 'utf8')));
      expect(subject).toContainEqual({ name: 'srv/file', digest: { sha256: hex(digestOf('a file\n')) } });
    }
  });

  it('make no image that nobody asked for', async () => {
    const dest = join(await farm.folder(), 'files.tar');
    const made = await farm.build(context, '-o', `type=tar,dest=${dest}`, '--provenance=true');
    const again = await farm.build(context, '-o', `type=tar,dest=${dest}`);
    expect(made['containerimage.digest']).toBe(again['containerimage.digest']);
  });

  it('go without those that are for images alone', async () => {
    const dest = join(await farm.folder(), 'files');
    await farm.build(context, '-o', dest, '--provenance=inline-only=true');
    await expect(readFile(join(dest, 'provenance.json'))).rejects.toThrow('ENOENT');
  });

  it('are not overwritten by them', async () => {
    const dir = await farm.folder();
    await write(dir, { Dockerfile: 'FROM scratch\nCOPY provenance.json /\n', 'provenance.json': '{}' });
    const refused = await farm.kilnBuild([dir, '-o', join(dir, 'out'), '--provenance=true']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('/provenance.json')]);
    expect(refused.stderr).toContain('attestation-prefix=');
    const asked = ['--provenance=filename=sbom.spdx.json', `--sbom=generator=${scanner}`];
    const twice = await farm.kilnBuild([context, '-o', join(dir, 'twice'), ...asked]);
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining('two attestations would be the file')]);
  });
});

describe('attestations that cannot be', () => {
  it.each([
    [['--load'], 'an archive for docker load has no attestations'],
    [['-o', 'type=image,oci-mediatypes=false'], 'attestations go with OCI media types alone'],
  ])('are refused before anything runs: %s', async (flags, message) => {
    const refused = await farm.kilnBuild([context, '-t', app, ...flags, '--provenance=true']);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it.each([
    ['nothing', 'true', 'wrote no sbom.spdx.json'],
    ['no statement', 'echo hello > /run/out/sbom.spdx.json', 'no statement of an SPDX document'],
    ['a link', 'ln -s /etc/passwd /run/out/sbom.spdx.json', 'which is no file'],
    [
      'depths',
      'echo "{\\"predicate\\":$(yes [ | head -n 300 | tr -d \\\\n)" > /run/out/sbom.spdx.json',
      'it nests deeper than 256 values',
    ],
    [
      'no name',
      'cd /run/out; echo "{\\"predicateType\\":\\"https://spdx.dev/Document\\",\\"predicate\\":{}}" > sbom.spdx.json; touch "$(printf "a\\377b")"',
      'a file whose name has signs in it that nobody can read',
    ],
    ['a failure', 'echo "no licence" >&2; exit 9', 'no licence'],
  ])('fail with their reason: a generator that gives %s', async (kind, script, message) => {
    const name = `${farm.registry.host}/acme/bad:${kind.replaceAll(' ', '-')}`;
    await makeScanner(name, script);
    const failed = await farm.kilnBuild([context, '-t', app, `--sbom=generator=${name}`]);
    expect([failed.code, failed.stderr]).toEqual([expect.any(Number), expect.stringContaining(message)]);
    expect(failed.code).not.toBe(0);
  });
});
