import { usageError } from '../usage.ts';

/** Where the proxy answers. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** `127.0.0.1:2375`, `:2375`, `[::1]:0`, `tcp://…`, `unix:///run/user/1000/kiln.sock` or an absolute path. */
export function parseListen(text: string): ListenAddress {
  const [, path] = /^(?:unix:\/\/)?(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { kind: 'unix', path };
  const [, named, port] = /^(?:tcp:\/\/)?(\[[0-9a-f:]+\]|[^:[\]/]*):(\d{1,5})$/i.exec(text) ?? [];
  if (named === undefined || Number(port) > 65_535)
    throw usageError(`--listen ${JSON.stringify(text)} is no address`, 'write HOST:PORT, or unix:///path of a socket');
  const host = named === '' ? '127.0.0.1' : named.replaceAll(/[[\]]/g, '');
  return { kind: 'tcp', host, port: Number(port) };
}

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/i;

/** Whether other machines reach it. */
export const isOpen = (address: ListenAddress): boolean => address.kind === 'tcp' && !loopback.test(address.host);

/** What DOCKER_HOST is to be. */
export function dockerHost(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`;
  return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
