import { digestOf, type ImageConfig, ImageConfigSchema, type Layer, ManifestSchema, mediaType } from '#oci';
import { describe, expect, it } from 'vitest';
import { assembleImage, type ImageParts } from './assemble-image.ts';

const layer = (name: string, type: string = mediaType.ociLayerGzip): Layer => ({
  descriptor: { mediaType: type, digest: digestOf(name), size: name.length },
  diffId: digestOf(`${name}, unpacked`),
});
const below = layer('base', mediaType.dockerLayerGzip);
const baseConfig: ImageConfig = {
  created: '2020-01-01T00:00:00Z',
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/bin'] },
  rootfs: { type: 'layers', diff_ids: [below.diffId] },
  history: [
    { created: '2020-01-01T00:00:00Z', created_by: 'ADD rootfs' },
    { created: '2020-01-01T00:00:00Z', created_by: 'CMD sh', empty_layer: true },
  ],
};
const parts: ImageParts = {
  platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  config: { WorkingDir: '/app', Env: ['B=2', 'A=1'], ExposedPorts: { '3000/tcp': {} }, Cmd: ['node', 'index.js'] },
  author: 'A. Person',
  history: [
    { createdBy: 'WORKDIR /app', emptyLayer: true },
    { createdBy: 'COPY . .', emptyLayer: false, comment: 'kiln' },
  ],
  base: { config: baseConfig },
  layers: [below, layer('own')],
  createdAt: '2026-01-02T03:04:05Z',
};
const configOf = (given: ImageParts): Record<string, unknown> =>
  JSON.parse(assembleImage(given).configBytes.toString()) as Record<string, unknown>;

describe('assembleImage', () => {
  it('writes config and manifest that readers take, with OCI media types throughout', () => {
    const image = assembleImage(parts);
    const manifest = ManifestSchema.parse(JSON.parse(image.manifestBytes.toString()));
    expect(manifest.layers.map(({ mediaType: type }) => type)).toEqual([
      mediaType.ociLayerGzip,
      mediaType.ociLayerGzip,
    ]);
    expect(manifest.config).toEqual(image.configDescriptor);
    expect(image.configDescriptor.digest).toBe(digestOf(image.configBytes));
    expect(image.manifestDescriptor).toEqual({
      mediaType: mediaType.ociManifest,
      digest: digestOf(image.manifestBytes),
      size: image.manifestBytes.length,
    });
    expect(ImageConfigSchema.parse(configOf(parts))).toEqual({
      author: 'A. Person',
      architecture: 'arm64',
      os: 'linux',
      created: '2026-01-02T03:04:05Z',
      config: parts.config,
      rootfs: { type: 'layers', diff_ids: [below.diffId, layer('own').diffId] },
      history: [
        ...(baseConfig.history ?? []),
        { created: '2026-01-02T03:04:05Z', created_by: 'WORKDIR /app', empty_layer: true },
        { created: '2026-01-02T03:04:05Z', created_by: 'COPY . .', comment: 'kiln' },
      ],
    });
  });

  it('gives the same bytes whatever the order in which members were made', () => {
    const { Cmd, Env, ExposedPorts, WorkingDir } = parts.config;
    const other = { ...parts, config: { Cmd, ExposedPorts, Env, WorkingDir } };
    expect(assembleImage(other).manifestDescriptor).toEqual(assembleImage(parts).manifestDescriptor);
  });

  it('leaves out what is empty', () => {
    const config = { User: '', Cmd: [], Volumes: {}, Labels: {}, ArgsEscaped: false, Entrypoint: undefined };
    expect(configOf({ ...parts, config })['config']).toEqual({});
    const { config: kept } = configOf({ ...parts, config: { Healthcheck: { Test: ['NONE'] }, Volumes: { '/v': {} } } });
    expect(kept).toEqual({ Healthcheck: { Test: ['NONE'] }, Volumes: { '/v': {} } });
  });

  it('makes up for history that the base does not tell, so that entries and layers match', () => {
    const silent = { ...baseConfig, history: undefined };
    const { history } = configOf({ ...parts, base: { config: silent } }) as { history: { empty_layer?: boolean }[] };
    expect(history.filter((entry) => entry.empty_layer !== true)).toHaveLength(2);
  });

  it('refuses layers that contradict history or base', () => {
    expect(() => assembleImage({ ...parts, layers: [below] })).toThrow('1 layers: 1 of its base, 1 in its history');
    expect(() => assembleImage({ ...parts, layers: [layer('own'), below] })).toThrow('does not begin with');
    const foreign = layer('base', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    expect(() => assembleImage({ ...parts, layers: [foreign, layer('own')] })).toThrow('of a kind');
  });

  it('writes annotations into the manifest, and no empty set of them', () => {
    const annotated = assembleImage({ ...parts, annotations: { b: '2', a: '1' } });
    expect(annotated.manifest.annotations).toEqual({ a: '1', b: '2' });
    expect(annotated.manifestBytes.toString()).toContain('"annotations":{"a":"1","b":"2"}');
    expect(assembleImage({ ...parts, annotations: {} }).manifestBytes.toString()).not.toContain('annotations');
  });
});
