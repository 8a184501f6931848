import { z } from 'zod';
import type { Facets } from './expected.ts';

const Config = z.looseObject({ config: z.record(z.string(), z.unknown()).default({}) });

/** What docker's image format has besides OCI's: about the container that made the image. */
const DOCKER_ONLY = ['container', 'container_config', 'docker_version', 'id', 'parent', 'moby.buildkit.buildinfo.v1'];
const CONTAINER_ONLY = ['Hostname', 'Domainname', 'Image', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'Tty'];
const STREAM_ONLY = ['OpenStdin', 'StdinOnce', 'ArgsEscaped'];

const isEmpty = (value: unknown): boolean =>
  value === null || value === '' || value === false || (typeof value === 'object' && Object.keys(value).length === 0);

function withoutDocker(facets: Facets): Facets {
  const { config, ...rest } = Config.parse(facets.config);
  const kept = Object.entries(config).filter(
    ([key, value]) => !CONTAINER_ONLY.includes(key) && !STREAM_ONLY.includes(key) && !isEmpty(value),
  );
  const top = Object.entries(rest).filter(([key, value]) => !DOCKER_ONLY.includes(key) && !isEmpty(value));
  return { ...facets, config: { ...Object.fromEntries(top), config: Object.fromEntries(kept) } };
}

/** An image of the BuildKit in docker as an OCI one. */
export const fromBuildKit = withoutDocker;

/** Lines whose words changed since: flags of COPY and ADD and given values of ARG came in, EXPOSE and HEALTHCHECK are said otherwise. */
const REWORDED = /^(COPY|ADD|ARG|EXPOSE|HEALTHCHECK) /;

/** History up to the words that changed since docker 20.10. */
export function inOldWords(history: Facets['history']): Facets['history'] {
  return history.map((line) => {
    const words = z.string().default('').parse(line['created_by']);
    return REWORDED.test(words) ? { ...line, created_by: REWORDED.exec(words)?.[1] } : line;
  });
}

/** A config without what came in since: CMD sets ArgsEscaped. */
export function inOldForm(config: Facets['config']): Facets['config'] {
  const { config: all, ...rest } = Config.parse(config);
  return { ...rest, config: Object.fromEntries(Object.entries(all).filter(([key]) => key !== 'ArgsEscaped')) };
}

/** What buildah leaves of the files and directories that it mounts for RUN. */
const TRACES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/run', '/run/.containerenv'];

/** An image of buildah as an OCI one: without its label, and without what its RUN leaves behind. */
export function fromBuildah(facets: Facets): Facets {
  const tree = Object.entries(facets.tree).filter(
    ([path, { type, size }]) => !(TRACES.includes(path) && (type === 'dir' || size === 0)),
  );
  const plain = withoutDocker({ ...facets, tree: Object.fromEntries(tree) });
  const { config, ...rest } = Config.parse(plain.config);
  const { 'io.buildah.version': _, ...labels } = z.record(z.string(), z.string()).default({}).parse(config['Labels']);
  const { Labels: __, ...others } = config;
  return { ...plain, config: { ...rest, config: isEmpty(labels) ? others : { ...others, Labels: labels } } };
}
