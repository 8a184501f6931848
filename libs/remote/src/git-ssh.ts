import type { GitEndpoint } from '#graph';

/** What the forges publish of themselves, so that their repositories need nothing more than an agent. */
const WELL_KNOWN = [
  // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
  'github.com,[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
  // https://docs.gitlab.com/user/gitlab_com/#ssh-known_hosts-entries
  'gitlab.com,[altssh.gitlab.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf',
  // https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/
  'bitbucket.org,[altssh.bitbucket.org]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO',
];
/** of a build, by its id */
export const KNOWN_HOSTS_SECRET = 'GIT_SSH_KNOWN_HOSTS';

/** A file of known hosts. @param given further ones, each as ssh reads them */
export function knownHosts(...given: readonly (string | undefined)[]): string {
  return [...given, ...WELL_KNOWN]
    .filter((text) => text !== undefined)
    .join('\n')
    .concat('\n');
}

export interface SshWay {
  /** on loopback, leads to the host and nowhere else */
  readonly tunnelPort: number;
  /** relative to where git runs, or absolute */
  readonly knownHostsFile: string;
}

/**
 * What git runs in the place of ssh: one that has no files of its own, asks nobody, forwards nothing, and believes only hosts
 * whose keys it was given.
 */
export function sshCommand({ host, port }: GitEndpoint, { tunnelPort, knownHostsFile }: SshWay): string {
  const options = {
    HostName: '127.0.0.1',
    Port: String(tunnelPort),
    HostKeyAlias: port === 22 ? host : `[${host}]:${port}`,
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: knownHostsFile,
    GlobalKnownHostsFile: '/dev/null',
    CheckHostIP: 'no',
    UpdateHostKeys: 'no',
    BatchMode: 'yes',
    IdentityFile: 'none',
    PreferredAuthentications: 'publickey',
    ForwardAgent: 'no',
    ClearAllForwardings: 'yes',
    PermitLocalCommand: 'no',
    ControlMaster: 'no',
    ServerAliveInterval: '15',
    ServerAliveCountMax: '4',
    LogLevel: 'ERROR',
  };
  return ['ssh', '-F', '/dev/null', ...Object.entries(options).map(([name, value]) => `-o${name}=${value}`)]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(' ');
}
