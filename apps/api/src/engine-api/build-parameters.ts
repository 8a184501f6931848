import { BuildRequest, type BuildRequestInput, type NamedContext, type RegistryCredentials } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { many } from '../http/many.ts';
import { parseJson } from './engine-json.ts';

const text = z.string().optional();
const texts = many(z.array(z.string()).max(64).optional());
const flag = z.string().optional();
const number = z.coerce.number().optional();

/** POST /build. https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageBuild */
export const BuildParameters = z.looseObject({
  dockerfile: text,
  t: texts,
  extrahosts: texts,
  remote: text,
  q: flag,
  nocache: flag,
  cachefrom: text,
  pull: flag,
  memory: number,
  cpuperiod: number,
  cpuquota: number,
  memswap: number,
  cpushares: number,
  cpusetcpus: text,
  cpusetmems: text,
  cgroupparent: text,
  isolation: text,
  securityopt: texts,
  buildargs: text,
  shmsize: number,
  squash: flag,
  labels: text,
  networkmode: text,
  platform: text,
  target: text,
  ulimits: text,
  version: text,
});
export type BuildParameters = z.infer<typeof BuildParameters>;

/** As Go's ParseBool and docker's daemon take it. */
export const isOn = (value: string | undefined): boolean =>
  value !== undefined && !['', '0', 'f', 'false', 'no', 'none'].includes(value.toLowerCase());

const Pairs = z.record(z.string(), z.string().nullable()).nullable();
const Strings = z.array(z.string()).nullable();
const Ulimits = z.array(z.object({ Name: z.string(), Soft: z.int(), Hard: z.int() })).nullable();

/** The request that a docker client's flags make: the image stays in the farm, as it would in a daemon. @throws KilnError INVALID_ARGUMENT */
export function buildRequestOf(
  given: BuildParameters,
  credentials: Readonly<Record<string, RegistryCredentials>>,
): BuildRequest {
  refuse(given);
  const { dockerfile, t = [], remote, platform, target, memory, shmsize, networkmode } = given;
  const network = networkOf(networkmode);
  const request: BuildRequestInput = {
    ...(dockerfile === undefined || dockerfile === '' ? {} : { dockerfile: dockerfile.replace(/^\.\//, '') }),
    ...(target === undefined || target === '' ? {} : { target }),
    tags: t.filter((tag) => tag !== ''),
    outputs: [{ type: 'image' }],
    platforms: platform === undefined || platform === '' ? [] : [platform],
    buildArgs: args(given.buildargs),
    labels: present(given.labels === undefined ? null : parseJson('labels', Pairs, given.labels)),
    noCache: isOn(given.nocache),
    pull: isOn(given.pull),
    addHosts: hosts(given.extrahosts),
    ulimits: ulimits(given.ulimits),
    ...(network === undefined ? {} : { network }),
    ...(memory === undefined || memory <= 0 ? {} : { memoryBytes: memory }),
    ...(shmsize === undefined || shmsize <= 0 ? {} : { shmSizeBytes: shmsize }),
    ...cpusOf(given),
    ...(remote === undefined || remote === '' ? {} : { contexts: { context: remoteContext(remote) } }),
    cacheFrom: cachesOf(given).map((ref) => ({ type: 'registry', ref })),
    credentials: { ...credentials },
  };
  const parsed = BuildRequest.safeParse(request);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new KilnError('INVALID_ARGUMENT', `${issue?.path.join('.') ?? 'the request'}: ${issue?.message ?? ''}`, {
    field: issue?.path.join('.'),
  });
}

/** What was asked for and changes nothing, for the person. @throws KilnError INVALID_ARGUMENT */
export function unheeded(given: BuildParameters): readonly string[] {
  const { memswap = 0, cpushares = 0, cpusetcpus, cpusetmems, cgroupparent, isolation, securityopt = [] } = given;
  const asked: readonly (readonly [string, boolean])[] = [
    ['--security-opt', securityopt.some((each) => each !== '' && each !== '[]' && each !== 'null')],
    ['--memory-swap', memswap !== 0],
    ['--cpu-shares', cpushares !== 0],
    ['--cpuset-cpus', isSaid(cpusetcpus)],
    ['--cpuset-mems', isSaid(cpusetmems)],
    ['--cgroup-parent', isSaid(cgroupparent)],
    ['--isolation', isSaid(isolation) && isolation !== 'default'],
  ];
  return asked.filter(([, is]) => is).map(([flag]) => `${flag} has no effect: the farm's builders say how steps run`);
}

const isSaid = (value: string | undefined): value is string => value !== undefined && value !== '';

/** Images with results in them. */
const cachesOf = ({ cachefrom }: BuildParameters): readonly string[] => [
  ...new Set(isSaid(cachefrom) ? parseJson('cachefrom', Strings, cachefrom)?.filter((ref) => ref !== '') : []),
];

function refuse({ version, squash }: BuildParameters): void {
  if (version === '2') {
    throw new KilnError('INVALID_ARGUMENT', 'the farm does not speak the protocol of BuildKit to docker', {
      hint: 'set DOCKER_BUILDKIT=0, or use kiln build, which takes the same flags',
      field: 'version',
    });
  }
  if (isOn(squash)) {
    throw new KilnError('INVALID_ARGUMENT', '--squash is not supported', {
      hint: 'copy what is wanted into a last stage FROM scratch',
      field: 'squash',
    });
  }
}

/** A value that is null is that of the client's environment, which had none. */
const args = (json: string | undefined): Record<string, string> =>
  present(json === undefined ? null : parseJson('buildargs', Pairs, json));

function present(pairs: z.infer<typeof Pairs>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(pairs ?? {}).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

/** `name:address`, one or more separated by commas, or a list in JSON. */
function hosts(given: readonly string[] = []): NonNullable<BuildRequestInput['addHosts']> {
  const lines = given.flatMap((each) =>
    each.startsWith('[')
      ? (parseJson('extrahosts', Strings, each) ?? [])
      : each.split(',').filter((line) => line !== ''),
  );
  return lines.map((line) => {
    const [, host, address] = /^([^:=]+)[:=](.+)$/.exec(line) ?? [];
    if (host === undefined || address === undefined)
      throw new KilnError('INVALID_ARGUMENT', `extrahosts: ${JSON.stringify(line)} is not host:address`, {
        field: 'extrahosts',
      });
    return { name: host, address };
  });
}

function ulimits(json: string | undefined): NonNullable<BuildRequestInput['ulimits']> {
  const given = json === undefined ? [] : (parseJson('ulimits', Ulimits, json) ?? []);
  return given.map(({ Name: name, Soft: soft, Hard: hard }) => ({ name, soft, hard }));
}

function cpusOf({ cpuquota = 0, cpuperiod = 0 }: BuildParameters): Pick<BuildRequestInput, 'cpus'> {
  return cpuquota <= 0 ? {} : { cpus: cpuquota / (cpuperiod > 0 ? cpuperiod : 100_000) };
}

function networkOf(mode: string | undefined): BuildRequestInput['network'] {
  switch (mode) {
    case undefined:
    case '':
    case 'default':
    case 'bridge':
      return undefined;
    case 'none':
    case 'host':
      return mode;
    default:
      throw new KilnError('INVALID_ARGUMENT', `--network ${mode}: steps have the networks default, none and host`, {
        field: 'networkmode',
      });
  }
}

/** What docker's client has not fetched itself. */
function remoteContext(url: string): NamedContext {
  const git =
    /^(?:git|ssh):\/\//i.test(url) || /^[\w-]+@[\w.-]+:/.test(url) || /^https?:[^?#]*\.git(?:[?#]|$)/.test(url);
  if (git) return { type: 'git', url };
  if (/^https?:\/\//i.test(url)) return { type: 'http', url };
  throw new KilnError('INVALID_ARGUMENT', `remote: ${JSON.stringify(url)} is neither a git repository nor a URL`, {
    field: 'remote',
  });
}
