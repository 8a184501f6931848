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

export interface GitEnvironment {
  readonly path: string;
  /** what `origin` is */
  readonly remote?: string | undefined;
  /** of the proxy that is its only way out; undefined for what needs no network */
  readonly proxy?: string | undefined;
  /** certificates of authorities, PEM */
  readonly caFile?: string | undefined;
  /** an Authorization header for URLs that begin with `scope` */
  readonly authorization?: { readonly scope: string; readonly header: string } | undefined;
}

/** All that a git process knows of its surroundings. Secrets stand here and not among its arguments, which anyone can read. */
export function gitEnvironment({ path, remote, proxy, caFile, authorization }: GitEnvironment): Record<string, string> {
  const config = [
    ...settings,
    ...(remote === undefined ? [] : [['remote.origin.url', remote] as const]),
    ...(proxy === undefined ? [] : [['http.proxy', proxy] as const]),
    ...(caFile === undefined ? [] : [['http.sslCAInfo', caFile] as const]),
    ...(authorization === undefined
      ? []
      : [
          [`http.${authorization.scope}.extraHeader`, `Authorization: ${authorization.header}`] as const,
          // After a redirect git would send the header to the other host as well.
          ['http.followRedirects', 'false'] as const,
        ]),
  ];
  return {
    PATH: path,
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: proxy === undefined ? '' : 'https:http',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
}
