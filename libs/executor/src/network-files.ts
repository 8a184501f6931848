/** `/etc/resolv.conf` of a sandbox: the node's search list and options, and the sandbox's own way to the node's resolver. */
export function resolvConf(node: string, nameserver: string | undefined): string {
  const kept = node.split('\n').filter((line) => /^\s*(search|domain|options)\s/.test(line));
  const servers = nameserver === undefined ? [] : [`nameserver ${nameserver}`];
  return [...servers, ...kept, ''].join('\n');
}

export function hosts(hostname: string): string {
  return [
    `127.0.0.1\tlocalhost ${hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
    '',
  ].join('\n');
}
