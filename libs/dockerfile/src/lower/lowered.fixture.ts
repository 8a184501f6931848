import type { FileQuery, GitSource, Lowered, RefAnswer, SourceResolver, TimedSource, Vertex } from '#graph';
import { type Digest, digestOf, formatPlatform, type Platform, type RunConfig } from '#oci';
import { KilnError } from '#std';
import { parseDockerfile } from '../parse/parse-dockerfile.ts';
import { lowerDockerfile } from './lower-dockerfile.ts';
import type { LowerOptions } from './lower-options.ts';

export const amd64: Platform = { os: 'linux', architecture: 'amd64' };
export const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Images by their full names; counts what is asked. */
export class FakeRegistry implements SourceResolver {
  readonly asked: string[] = [];
  readonly #configs: Readonly<Record<string, RunConfig>>;

  constructor(configs: Readonly<Record<string, RunConfig>> = {}) {
    this.#configs = configs;
  }

  digest(reference: string, platform = amd64): Digest {
    return digestOf(`${reference} ${formatPlatform(platform)}`);
  }

  async resolve(reference: string, platform: Platform): ReturnType<SourceResolver['resolve']> {
    this.asked.push(`${reference} ${formatPlatform(platform)}`);
    if (reference.includes('missing')) throw new KilnError('IMAGE_NOT_FOUND', `no ${reference}`);
    const config = this.#configs[reference] ?? { Env: [path], Cmd: ['/bin/sh'] };
    return {
      reference: reference.replace(/:[^:/]+$/, ''),
      digest: this.digest(reference, platform),
      config: { ...platform, config, rootfs: { type: 'layers', diff_ids: [digestOf(reference)] } },
    };
  }

  async layout(context: string, digest: Digest, platform: Platform): ReturnType<SourceResolver['resolve']> {
    this.asked.push(`layout ${context} ${digest} ${formatPlatform(platform)}`);
    return { reference: context, digest, config: { ...platform, rootfs: { type: 'layers', diff_ids: [digest] } } };
  }

  async file({ url, checksum }: FileQuery): Promise<Digest> {
    this.asked.push(`file ${url}`);
    if (url.includes('missing')) throw new KilnError('SOURCE_NOT_FOUND', `no ${url}`);
    return checksum ?? digestOf(url);
  }

  async repository({ remote, ref }: GitSource): Promise<RefAnswer> {
    this.asked.push(`git ${remote} ${ref}`);
    return { commit: 'c'.repeat(40), ref: ref === '' ? 'refs/heads/main' : `refs/heads/${ref}` };
  }

  /** Its own, for each kind; a file of another name than `timed` has none. */
  async time(source: TimedSource): Promise<number | undefined> {
    if (source.kind === 'context') return 100;
    if (source.kind === 'git') return 200;
    return source.query.url.endsWith('/timed') ? 300 : undefined;
  }
}

/** What the specs change of. */
export const plainOptions: LowerOptions = {
  buildArgs: {},
  labels: {},
  platform: amd64,
  buildPlatform: amd64,
  noCache: false,
  noCacheFilter: [],
  network: 'default',
};

export async function lower(
  text: string,
  options: Partial<LowerOptions> = {},
  registry: SourceResolver = new FakeRegistry(),
): Promise<Lowered> {
  return lowerDockerfile(parseDockerfile(text), { ...plainOptions, ...options }, registry);
}

export const vertices = ({ definition }: Lowered): readonly Vertex[] => [...definition.vertices.values()];
export const names = (lowered: Lowered): readonly string[] => vertices(lowered).map(({ label }) => label.name);
export const ops = (lowered: Lowered): readonly unknown[] => vertices(lowered).map(({ op }) => op);
export const created = ({ history }: Lowered): readonly string[] =>
  history.map(({ createdBy, emptyLayer }) => `${emptyLayer ? 'e' : 'L'} ${createdBy}`);
export const warnings = (lowered: Lowered): readonly string[] => lowered.warnings.map(({ message }) => message);
