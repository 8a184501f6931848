import { type Descriptor, Hasher } from '#oci';
import type { Bytes, Clock, Random } from '#std';
import type { Endpoint } from './endpoint.ts';
import type { Reply } from './http.ts';
import type { Reader } from './reader.ts';
import { RegistryError, transportFailure, WrongBytes } from './registry-error.ts';
import type { Source } from './repository.ts';
import type { Requests } from './requests.ts';
import { pauseMs } from './retries.ts';

export interface BlobStreamOptions {
  readonly requests: Requests;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly random: Random;
  readonly source: Source;
  readonly descriptor: Descriptor;
  readonly signal?: AbortSignal | undefined;
}

/** How often one transfer may break off. */
const MAX_BREAKS = 5;

/**
 * A blob's bytes, verified: the stream fails at its end when they are not those of the digest. A transfer that breaks goes on
 * where it broke, at the next server if a mirror broke it.
 */
export async function* streamBlob(options: BlobStreamOptions): Bytes {
  const { reader, descriptor, source, signal, clock, random } = options;
  const hasher = new Hasher();
  const skip = new Set<string>();
  const senders = new Set<Endpoint>();
  for (let breaks = 0; hasher.sizeBytes < descriptor.size || senders.size === 0; ) {
    const offset = hasher.sizeBytes;
    const { value: reply, endpoint } = await reader.read(source, { skip, signal }, (at) => openAt(options, at, offset));
    senders.add(endpoint);
    try {
      for await (const chunk of remaining(reply, endpoint, offset)) {
        if (hasher.sizeBytes + chunk.byteLength > descriptor.size) throw wrongBytes(reader, senders, descriptor);
        hasher.update(chunk);
        yield chunk;
      }
      if (hasher.sizeBytes < descriptor.size) throw new Error(`it ended after ${hasher.sizeBytes} bytes`);
    } catch (thrown) {
      signal?.throwIfAborted();
      const failure =
        thrown instanceof RegistryError
          ? thrown
          : transportFailure(thrown, endpoint.host).about(subjectOf(descriptor, endpoint));
      if (!failure.transient || ++breaks > MAX_BREAKS) throw failure;
      if (endpoint.kind === 'registry') await clock.sleep(pauseMs(breaks, random), signal);
      else skip.add(endpoint.origin);
    }
  }
  if (hasher.digest() === descriptor.digest) return;
  throw wrongBytes(reader, senders, descriptor);
}

const subjectOf = ({ digest }: Descriptor, { repository }: Endpoint): string => `the blob ${digest} of ${repository}`;

/** Which of several sent them cannot be told. */
function wrongBytes(reader: Reader, senders: ReadonlySet<Endpoint>, { digest }: Descriptor): WrongBytes {
  for (const sender of senders) reader.distrust(sender);
  const [{ repository } = { repository: '' }] = senders;
  const hosts = [...new Set([...senders].map(({ host }) => host))].join(' and ');
  return new WrongBytes('REGISTRY_FAILED', `${hosts} sent other bytes than those of ${digest}, for ${repository}`, {
    hint: `what ${hosts} has is damaged, or is damaged on its way: push the image again, or tell who runs it`,
  });
}

function openAt(
  { requests, descriptor, signal }: BlobStreamOptions,
  endpoint: Endpoint,
  offset: number,
): Promise<Reply> {
  return requests.ask(
    {
      endpoint,
      method: 'GET',
      target: `blobs/${descriptor.digest}`,
      scopes: [`repository:${endpoint.repository}:pull`],
      headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
      signal,
    },
    {
      subject: subjectOf(descriptor, endpoint),
      kind: 'blob',
      expect: offset === 0 ? [200] : [200, 206],
    },
  );
}

/** What follows `offset`, also from a server that does not know ranges. */
async function* remaining(reply: Reply, endpoint: Endpoint, offset: number): Bytes {
  const range = String(reply.headers['content-range'] ?? '');
  if (reply.status === 206 && !range.startsWith(`bytes ${offset}-`)) {
    await reply.body.dump();
    throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} sent another range than asked for: ${range}`, {
      transient: true,
    });
  }
  let skipBytes = reply.status === 206 ? 0 : offset;
  for await (const part of reply.body) {
    const chunk = Buffer.isBuffer(part) ? part : Buffer.from(String(part));
    const skipped = Math.min(skipBytes, chunk.byteLength);
    skipBytes -= skipped;
    if (skipped < chunk.byteLength) yield chunk.subarray(skipped);
  }
}
