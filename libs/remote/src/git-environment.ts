/** Settings that hold for every git that runs here, whatever a repository says. */
const settings: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.askPass', ''],
  ['credential.helper', ''],
  ['protocol.version', '2'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  // One pack however little there is, so that the limit of a file is the limit of a fetch.
  ['fetch.unpackLimit', '1'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['init.defaultBranch', 'main'],
  ['advice.detachedHead', 'false'],
  ['http.proxyAuthMethod', 'basic'],
  ['http.lowSpeedLimit', '1000'],
  ['http.lowSpeedTime', '60'],
  // Modes as a checkout with the usual umask makes them.
  ['tar.umask', '0022'],
];

/** The only way out that a git has. */
export type GitWay =
  | {
      readonly transport: 'web';
      readonly proxy: string;
      /** an Authorization header for URLs that begin with `scope` */
      readonly authorization?: { readonly scope: string; readonly header: string } | undefined;
    }
  | { readonly transport: 'ssh'; readonly command: string; readonly agent: string }
  /** a tunnel on loopback */
  | { readonly transport: 'git'; readonly port: number };

export interface GitEnvironment {
  readonly path: string;
  /** what `origin` is */
  readonly remote?: string | undefined;
  /** certificates of authorities, PEM */
  readonly caFile?: string | undefined;
  /** undefined for what needs no network */
  readonly way?: GitWay | undefined;
}

/** All that a git process knows of its surroundings. Secrets stand here and not among its arguments, which anyone can read. */
export function gitEnvironment({ path, remote, caFile, way }: GitEnvironment): Record<string, string> {
  const { protocols, config: own, env } = wayOf(way, remote);
  const config = [
    ...settings,
    ...(remote === undefined ? [] : [['remote.origin.url', remote] as const]),
    ...(caFile === undefined ? [] : [['http.sslCAInfo', caFile] as const]),
    ...own,
  ];
  return {
    PATH: path,
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: protocols,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_LITERAL_PATHSPECS: '1',
    ...env,
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}

interface WaySettings {
  readonly protocols: string;
  readonly config: readonly (readonly [string, string])[];
  readonly env: Readonly<Record<string, string>>;
}

function wayOf(way: GitWay | undefined, remote = ''): WaySettings {
  switch (way?.transport) {
    case undefined:
      return { protocols: '', config: [], env: {} };
    case 'web': {
      const { proxy, authorization } = way;
      const header =
        authorization === undefined
          ? []
          : [
              [`http.${authorization.scope}.extraHeader`, `Authorization: ${authorization.header}`] as const,
              // After a redirect git would send the header to the other host as well.
              ['http.followRedirects', 'false'] as const,
            ];
      return { protocols: 'https:http', config: [['http.proxy', proxy], ...header], env: {} };
    }
    case 'ssh': {
      const env = { GIT_SSH_COMMAND: way.command, GIT_SSH_VARIANT: 'ssh', SSH_AUTH_SOCK: way.agent };
      return { protocols: 'ssh', config: [], env };
    }
    case 'git': {
      const [prefix = '', host = ''] = /^git:\/\/([^/]*)\//i.exec(remote) ?? [];
      const config = [[`url.git://127.0.0.1:${way.port}/.insteadOf`, prefix]] as const;
      return { protocols: 'git', config, env: { GIT_OVERRIDE_VIRTUAL_HOST: host } };
    }
  }
}
