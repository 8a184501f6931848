import { closeSync, constants, openSync } from 'node:fs';
import { KilnError } from '#std';
import { kernel } from './libc.ts';

/** An IPv4 network, as `169.254.0.0/16`. */
export type Cidr = string;

const CLONE_NEWNET = 0x40000000;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const AF_INET = 2;
const NLMSG_ERROR = 2;
const RTM_NEWROUTE = 24;
/** NLM_F_REQUEST, _ACK, _EXCL, _CREATE */
const CREATE_FLAGS = 0x1 | 0x4 | 0x200 | 0x400;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNREACHABLE = 7;
const RTA_DST = 1;
const HEADER_BYTES = 16;
const EEXIST = 17;

/**
 * Makes networks unreachable in the network namespace of a process (rtnetlink(7)). A sandbox cannot take the routes away
 * again: it has no CAP_NET_ADMIN.
 */
export function makeUnreachable(pid: number, networks: readonly Cidr[]): void {
  const socket = netlinkSocketIn(`/proc/${pid}/ns/net`);
  try {
    for (const network of networks) {
      kernel.send(socket, unreachableRoute(network));
      const answer = Buffer.alloc(4096);
      const size = kernel.receive(socket, answer);
      const error =
        size >= HEADER_BYTES + 4 && answer.readUInt16LE(4) === NLMSG_ERROR
          ? -answer.readInt32LE(HEADER_BYTES)
          : undefined;
      if (error !== 0 && error !== EEXIST) {
        throw new KilnError('SANDBOX_FAILED', `no unreachable route for ${network} (errno ${error ?? 'unknown'})`);
      }
    }
  } finally {
    closeSync(socket);
  }
}

/**
 * A socket belongs to the namespace that its thread was in when it was made, so the thread goes there and back. Nothing
 * else runs on it meanwhile.
 */
function netlinkSocketIn(namespace: string): number {
  const flags = constants.O_RDONLY;
  const own = openSync('/proc/thread-self/ns/net', flags);
  try {
    const other = openSync(namespace, flags);
    try {
      kernel.setns(other, CLONE_NEWNET);
      try {
        return kernel.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0);
      } finally {
        kernel.setns(own, CLONE_NEWNET);
      }
    } finally {
      closeSync(other);
    }
  } finally {
    closeSync(own);
  }
}

/** struct nlmsghdr, struct rtmsg, one struct rtattr. */
export function unreachableRoute(network: Cidr): Buffer {
  const { address, bits } = parseCidr(network);
  const message = Buffer.alloc(36);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(RTM_NEWROUTE, 4);
  message.writeUInt16LE(CREATE_FLAGS, 6);
  message.writeUInt32LE(1, 8);
  message.set([AF_INET, bits, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNREACHABLE], HEADER_BYTES);
  message.writeUInt16LE(8, 28);
  message.writeUInt16LE(RTA_DST, 30);
  message.set(address, 32);
  return message;
}

export function parseCidr(network: Cidr): { readonly address: Uint8Array; readonly bits: number } {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(network);
  const numbers = (match ?? []).slice(1).map(Number);
  const bits = numbers[4] ?? 33;
  if (bits > 32 || numbers.slice(0, 4).some((byte) => byte > 255)) {
    throw new KilnError('INVALID_ARGUMENT', `not an IPv4 network: ${network}`);
  }
  return { address: Uint8Array.from(numbers.slice(0, 4)), bits };
}
