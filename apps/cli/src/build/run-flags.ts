import { isIP } from 'node:net';
import { Entitlement, type BuildRequestInput } from '#protocol';
import { parseByteSize } from '#std';
import { usageError } from '../usage.ts';
import { parseSecret, type SecretSource } from './secrets.ts';
import { type AgentSource, parseAgent } from './ssh-sources.ts';

/** The flags of `kiln build` that are about its RUN steps, as commander gives them. */
export interface RunFlags {
  readonly network: string;
  readonly allow?: readonly string[];
  readonly addHost?: readonly string[];
  readonly ulimit?: readonly string[];
  readonly shmSize?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly cgroupParent?: string;
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
}

type Limits = Pick<
  BuildRequestInput,
  'network' | 'allow' | 'addHosts' | 'ulimits' | 'shmSizeBytes' | 'memoryBytes' | 'cpus'
>;

/** The same, checked. */
export interface RunOptions {
  readonly request: Limits;
  readonly secrets: readonly SecretSource[];
  readonly agents: readonly AgentSource[];
  /** what is accepted and has no effect */
  readonly notes: readonly string[];
}

/** A millisecond in each tenth of a second. */
const MIN_CPUS = 0.01;

const ULIMITS = [
  ...['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice'],
  ...['nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack'],
];

/** @throws KilnError INVALID_ARGUMENT naming the flag */
export function readRunFlags(flags: RunFlags): RunOptions {
  const shmSizeBytes = readSize('--shm-size', flags.shmSize);
  const memoryBytes = readSize('--memory', flags.memory);
  const secrets = (flags.secret ?? []).map(parseSecret);
  const agents = (flags.ssh ?? []).map(parseAgent);
  const allowed = flags.allow ?? [];
  return {
    request: {
      network: readNetwork(flags.network),
      allow: allowed.filter((value) => !isDevice(value)).map(readEntitlement),
      addHosts: (flags.addHost ?? []).map(readHost),
      ulimits: (flags.ulimit ?? []).map(readUlimit),
      ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(flags.cpus === undefined ? {} : { cpus: readCpus(flags.cpus) }),
    },
    secrets,
    agents,
    notes: [
      ...(flags.cgroupParent === undefined
        ? []
        : ['--cgroup-parent has no effect: a farm’s builders keep the control groups of steps themselves']),
      ...(allowed.some(isDevice) ? ['--allow device has no effect: a farm’s builders have no devices to give'] : []),
    ],
  };
}

function readNetwork(value: string): 'default' | 'none' | 'host' {
  if (value === 'default' || value === 'none' || value === 'host') return value;
  throw usageError(`--network=${value} is not known`, 'there are: default, none, host');
}

const isDevice = (entitlement: string): boolean => /^device(?:=|$)/.test(entitlement);

function readEntitlement(value: string): Entitlement {
  const parsed = Entitlement.safeParse(value);
  if (parsed.success) return parsed.data;
  throw usageError(`--allow ${value} is not known`, `there are: ${Entitlement.options.join(', ')}`);
}

/** `name:address` or `name=address`; IPv6 may stand in brackets. */
function readHost(value: string): { name: string; address: string } {
  const [, name = '', given = ''] = /^([^:=]+)[:=](.+)$/.exec(value) ?? [];
  const address = given.replace(/^\[(.*)\]$/, '$1');
  if (address === 'host-gateway') {
    throw usageError('--add-host with host-gateway is not supported', 'a farm’s steps cannot reach their node');
  }
  if (name !== '' && isIP(address) !== 0) return { name, address };
  throw usageError(`--add-host is no name and address: ${JSON.stringify(value)}`, 'such as --add-host db:10.0.0.5');
}

function readUlimit(value: string): { name: string; soft: number; hard: number } {
  const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(value) ?? [];
  if (!ULIMITS.includes(name)) {
    throw usageError(
      `--ulimit is no limit: ${JSON.stringify(value)}`,
      `such as nofile=1024:2048; names are ${ULIMITS.join(', ')}`,
    );
  }
  const limit = { name, soft: Number(soft), hard: Number(hard) };
  const above = limit.hard !== -1 && (limit.soft === -1 || limit.soft > limit.hard);
  if (above) throw usageError(`--ulimit ${value}: the soft limit is above the hard one`);
  return limit;
}

function readSize(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const bytes = parseByteSize(value);
  // 0 is docker's way to say that there is none.
  if (bytes === 0) return undefined;
  if (bytes !== undefined) return bytes;
  throw usageError(`${flag} is no size: ${JSON.stringify(value)}`, `such as ${flag} 512m`);
}

function readCpus(value: string): number {
  const cpus = Number(value);
  if (cpus >= MIN_CPUS && Number.isFinite(cpus)) return cpus;
  if (cpus > 0 && cpus < MIN_CPUS)
    throw usageError(`--cpus ${value} is less than the kernel gives`, `it is at least ${MIN_CPUS}`);
  throw usageError(`--cpus is no number of processors: ${JSON.stringify(value)}`, 'such as --cpus 1.5');
}
