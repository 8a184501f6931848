import { once } from 'node:events';
import { chmod, lstat, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect as dial } from 'node:net';
import { KilnError, messageOf, systemCode } from '#std';
import { Interrupt, onAbort } from '../build/interrupt.ts';
import { readConfig } from '../config.ts';
import { Exit } from '../fail.ts';
import { connect } from '../farm/connect.ts';
import { engineProxy } from '../proxy/engine-proxy.ts';
import { dockerHost, isOpen, type ListenAddress, parseListen } from '../proxy/listen-address.ts';

export interface ProxyFlags {
  readonly listen: string;
  readonly allowRemote?: boolean;
  readonly data?: string;
}

/** `kiln proxy`: the farm as a Docker engine for docker's clients on this machine, until it is interrupted. */
export async function proxy(flags: ProxyFlags): Promise<void> {
  const wanted = parseListen(flags.listen);
  if (isOpen(wanted) && flags.allowRemote !== true) {
    throw new KilnError(
      'INVALID_ARGUMENT',
      `${flags.listen} is for other machines too: whoever reaches it builds with your token`,
      {
        hint: 'listen on 127.0.0.1, or on a socket: --listen unix:///path; --allow-remote says that it is meant',
      },
    );
  }
  using interrupt = new Interrupt();
  await using client = await connect(readConfig(process.env, flags.data));
  // Whether the farm is there, and the token good, is better told now than by docker.
  await client.access.me();
  const note = (line: string): void => void process.stderr.write(`${line}\n`);
  const hosts = new Set<string>();
  const server = engineProxy({ farm: client, hosts: wanted.kind === 'unix' ? undefined : hosts, note });
  const address = await listen(server, wanted);
  if (address.kind === 'tcp') for (const name of hostsOf(address)) hosts.add(name);
  try {
    process.stdout.write(`listening on ${dockerHost(address)}\n`);
    note(`export DOCKER_HOST=${dockerHost(address)} DOCKER_BUILDKIT=0`);
    await new Promise<void>((resolve) => onAbort(interrupt.signal, resolve));
  } finally {
    server.close();
    server.closeAllConnections();
    if (address.kind === 'unix') await rm(address.path, { force: true });
  }
  throw new Exit(130);
}

/** A client names the address that it was given. */
function hostsOf({ host, port }: Extract<ListenAddress, { readonly kind: 'tcp' }>): readonly string[] {
  const named = host.includes(':') ? `[${host}]` : host.toLowerCase();
  const local = isOpen({ kind: 'tcp', host, port }) ? [] : ['localhost', '127.0.0.1', '[::1]'];
  // Docker's clients send the path of a socket, or a name of their own, where there is no host.
  return [...new Set([named, ...local])].flatMap((name) => [`${name}:${port}`, ...(port === 80 ? [name] : [])]);
}

async function listen(server: Server, wanted: ListenAddress): Promise<ListenAddress> {
  if (wanted.kind === 'unix') await removeDead(wanted.path);
  const mask = process.umask(0o177);
  try {
    server.listen(wanted.kind === 'unix' ? { path: wanted.path } : { host: wanted.host, port: wanted.port });
    await once(server, 'listening');
  } catch (cause) {
    const taken = systemCode(cause) === 'EADDRINUSE';
    throw new KilnError('INVALID_ARGUMENT', `cannot listen on ${dockerHost(wanted)}: ${messageOf(cause)}`, {
      hint: taken
        ? 'something else listens there: choose another with --listen, such as --listen 127.0.0.1:0'
        : undefined,
      cause,
    });
  } finally {
    process.umask(mask);
  }
  if (wanted.kind === 'unix') {
    await chmod(wanted.path, 0o600);
    return wanted;
  }
  const bound = server.address();
  return bound === null || typeof bound === 'string' ? wanted : { ...wanted, port: bound.port };
}

/** A socket that a proxy before this one left, and nobody listens on. */
async function removeDead(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isSocket() !== true) return;
  const socket = dial(path);
  try {
    await once(socket, 'connect');
  } catch (thrown) {
    if (systemCode(thrown) === 'ECONNREFUSED') await rm(path, { force: true });
  } finally {
    socket.destroy();
  }
}
