import { BlockList, isIP } from 'node:net';
import { KilnError } from '#std';

/** Which private addresses may be reached, beside every public one. */
export interface EgressPolicy {
  /** host, host:port, address or CIDR */
  readonly allow: readonly string[];
}

/** For a person's own machine, where nobody else's Dockerfile decides what is fetched. */
export const openEgress: EgressPolicy = { allow: ['0.0.0.0/0', '::/0'] };

/** IPv4 that is not the public Internet: https://www.iana.org/assignments/iana-ipv4-special-registry */
const privateIpv4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** The same of IPv6; Teredo and 6to4 among them, since they can lead to any IPv4. */
const privateIpv6: readonly (readonly [string, number])[] = [
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

const privateAddresses = new BlockList();
for (const [address, bits] of privateIpv4) {
  privateAddresses.addSubnet(address, bits, 'ipv4');
  // NAT64 carries an IPv4 in its last 32 bits.
  privateAddresses.addSubnet(`64:ff9b::${address}`, 96 + bits, 'ipv6');
}
for (const [address, bits] of privateIpv6) privateAddresses.addSubnet(address, bits, 'ipv6');

const holds = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Loopback, private, link-local and otherwise not public; `address` is a literal without brackets. */
export function isPrivateAddress(address: string): boolean {
  return holds(privateAddresses, address);
}

/** An {@link EgressPolicy}, ready to be asked at each connection. */
export class Egress {
  readonly #names = new Set<string>();
  readonly #ranges = new BlockList();

  /** @throws KilnError INVALID_ARGUMENT for an entry that is none of host, host:port, address, CIDR */
  constructor(policy: EgressPolicy) {
    for (const entry of policy.allow) this.#add(entry.trim().toLowerCase());
  }

  /** Whether a connection to `host:port` may use `address`, which the name resolved to just now. */
  allows(host: string, port: number, address: string): boolean {
    const name = host.toLowerCase().replace(/^\[|\]$/g, '');
    const written = isIP(name) === 6 ? `[${name}]` : name;
    if (this.#names.has(written) || this.#names.has(`${written}:${port}`)) return true;
    return holds(this.#ranges, address) || !isPrivateAddress(address);
  }

  #add(entry: string): void {
    const bare = entry.replace(/^\[|\]$/g, '');
    const family = isIP(bare);
    if (family !== 0) {
      this.#ranges.addAddress(bare, family === 6 ? 'ipv6' : 'ipv4');
      return;
    }
    const cidr = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry);
    const [base, bits] = [cidr?.[1] ?? '', Number(cidr?.[2])];
    const version = isIP(base);
    if (version !== 0 && bits <= (version === 6 ? 128 : 32)) {
      this.#ranges.addSubnet(base, bits, version === 6 ? 'ipv6' : 'ipv4');
      return;
    }
    if (!/^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/.test(entry)) {
      throw new KilnError('INVALID_ARGUMENT', `not a host, host:port, address or CIDR: ${JSON.stringify(entry)}`);
    }
    this.#names.add(entry);
  }
}
