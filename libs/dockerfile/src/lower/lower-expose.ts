import { invalid } from '../invalid.ts';
import { expandWords } from '../expand/expand-word.ts';
import { goList } from '../go-format.ts';
import type { Listed } from '../parse/ast.ts';
import type { StageLowering } from './stage-lowering.ts';

const MAX_PORT = 65_535;
/** Each once, for the three protocols. */
const PORTS_LIMIT = 3 * (MAX_PORT + 1);

/** `80`, `80/udp`, `8000-8010/tcp`; what comes before a colon is for the person who runs the container. */
export function lowerExpose(expose: Listed, lowering: StageLowering): void {
  const { state, file } = lowering;
  const raw = expose.items.flatMap((item) => expandWords(item, state.env, { escape: file.escape }));
  const ports: string[] = [];
  for (const text of raw) {
    ports.push(...parsePorts(text, expose, lowering));
    if (ports.length > PORTS_LIMIT)
      throw invalid(`EXPOSE of more than ${PORTS_LIMIT} ports`, { hint: 'name each port once' });
  }
  for (const port of ports) state.ports.add(port);
  state.commit(`EXPOSE ${goList(ports)}`);
}

function parsePorts(text: string, expose: Listed, { findings }: StageLowering): readonly string[] {
  const parts = text.split(':');
  const container = parts.pop() ?? '';
  const hostPort = parts.pop() ?? '';
  const address = parts.join(':').replace(/^\[(.*)\]$/, '$1');
  const [range = '', protocol = ''] = container.split(/\/(.*)/s);
  if (range === '')
    throw invalid(`invalid port: ${JSON.stringify(text)}: no port specified`, {
      hint: 'write EXPOSE 80 or EXPOSE 80/udp',
    });
  if (!['', 'tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) {
    throw invalid(`invalid port: ${JSON.stringify(text)}: invalid proto: ${protocol}`, {
      hint: 'protocols are tcp, udp and sctp',
    });
  }
  if (protocol !== protocol.toLowerCase()) {
    findings.report(
      'ExposeProtoCasing',
      `Defined protocol '${text}' in EXPOSE instruction should be lowercase`,
      expose,
    );
  }
  if (address !== '' || hostPort !== '') {
    const message = `EXPOSE instruction should not define an IP address or host-port mapping, found '${text}'`;
    findings.report('ExposeInvalidFormat', message, expose);
  }
  if (address !== '' && !isAddress(address))
    throw invalid(`invalid IP address: ${address}`, {
      hint: 'write the port of the container alone, such as EXPOSE 80',
    });
  const ports = parseRange(range, 'containerPort');
  if (hostPort !== '') {
    const host = parseRange(hostPort, 'hostPort');
    if (ports.to !== ports.from && ports.to - ports.from !== host.to - host.from) {
      throw invalid(`invalid ranges specified for container and host Ports: ${range} and ${hostPort}`, {
        hint: `write the ports of the container alone: EXPOSE ${range}`,
      });
    }
  }
  return Array.from(
    { length: ports.to - ports.from + 1 },
    (_, index) => `${ports.from + index}/${protocol.toLowerCase() || 'tcp'}`,
  );
}

function parseRange(text: string, what: string): { readonly from: number; readonly to: number } {
  const [start = '', end = start] = text.split(/-(.*)/s);
  const from = parsePort(start);
  const to = parsePort(end);
  if (from === undefined || to === undefined || to < from) {
    throw invalid(`invalid ${what}: ${text}`, {
      hint: `ports are numbers from 0 to ${MAX_PORT}, such as 80 or 8000-8010/udp`,
    });
  }
  return { from, to };
}

function parsePort(text: string): number | undefined {
  const port = /^\+?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return port <= MAX_PORT ? port : undefined;
}

function isAddress(text: string): boolean {
  if (text.includes(':')) return URL.canParse(`http://[${text}]`);
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}
