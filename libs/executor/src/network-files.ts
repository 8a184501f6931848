import type { ProcessSpec } from './executor.ts';

/**
 * `/etc/resolv.conf` of a sandbox: the node's search list and options, and the sandbox's own way to the node's resolver.
 * @param nameserver undefined for none
 */
export function resolvConf(node: string, nameserver: string | undefined): string {
  const kept = node.split('\n').filter((line) => /^\s*(search|domain|options)\s/.test(line));
  const servers = nameserver === undefined ? [] : [`nameserver ${nameserver}`];
  return [...servers, ...kept, ''].join('\n');
}

/** `/etc/hosts`, to the byte as BuildKit writes it. */
export function hosts({ hostname, extraHosts = [] }: Pick<ProcessSpec, 'hostname' | 'extraHosts'>): string {
  return [
    `127.0.0.1\tlocalhost ${hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extraHosts.map(({ name, address }) => `${address}\t${name}`),
    '',
  ].join('\n');
}
