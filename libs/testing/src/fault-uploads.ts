import type { ServerResponse } from 'node:http';
import { type Digest, digestOf } from '#oci';
import { refuse, send } from './fault-answers.ts';
import type { Recorded } from './fault-registry.ts';

/**
 * Uploads to a registry that are under way. As strict as registries are: a request has to go where the last answer said, with the bytes
 * that come next.
 */
export class FaultUploads {
  /** bytes so far, by path */
  readonly received = new Map<string, Buffer>();
  /** what a chunk must have that is not the last one; announced as OCI-Chunk-Min-Length */
  chunkMinBytes = 0;
  readonly #states = new Map<string, string>();
  #answers = 0;

  /** @param base what Locations begin with */
  begin(repository: string, base: string, response: ServerResponse): void {
    const path = `/v2/${repository}/blobs/uploads/${++this.#answers}`;
    this.received.set(path, Buffer.alloc(0));
    if (this.chunkMinBytes > 0) response.setHeader('oci-chunk-min-length', this.chunkMinBytes);
    this.#locate(path, base, response);
    send(response, 202);
  }

  /** More bytes of an upload, how many there are, or its end. */
  continue(
    { method, body, headers }: Recorded,
    url: URL,
    base: string,
    response: ServerResponse,
    add: (bytes: Buffer) => Digest,
  ): void {
    const path = url.pathname;
    const had = this.received.get(path);
    if (had === undefined) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    if (method === 'DELETE') {
      this.received.delete(path);
      return send(response, 204);
    }
    const writes = method === 'PATCH' || method === 'PUT';
    if (writes && url.searchParams.get('_state') !== this.#states.get(path))
      return refuse(response, 400, 'BLOB_UPLOAD_INVALID');
    const range = headers['content-range'];
    if (range !== undefined && range !== `${had.length}-${had.length + body.length - 1}`)
      return refuse(response, 416, 'BLOB_UPLOAD_INVALID');
    const has = writes ? Buffer.concat([had, body]) : had;
    this.received.set(path, has);
    if (method !== 'PUT') {
      this.#locate(path, base, response);
      response.setHeader('range', `0-${Math.max(has.length - 1, 0)}`);
      return send(response, method === 'PATCH' ? 202 : 204);
    }
    this.received.delete(path);
    if (url.searchParams.get('digest') !== digestOf(has)) return refuse(response, 400, 'DIGEST_INVALID');
    add(has);
    send(response, 201, {});
  }

  /** Bytes that came before the connection broke. */
  receivePart(path: string, bytes: Uint8Array): void {
    this.received.set(path, Buffer.concat([this.received.get(path) ?? Buffer.alloc(0), bytes]));
  }

  /** Characters that have to be escaped, and another state each time. */
  #locate(path: string, base: string, response: ServerResponse): void {
    const state = `a+b=${++this.#answers}`;
    this.#states.set(path, state);
    response.setHeader('location', `${base}${path}?_state=${encodeURIComponent(state)}`);
  }
}
