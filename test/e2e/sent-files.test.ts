import { once } from 'node:events';
import { WebSocket } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TreeEntry } from '#content';
import { encodeManifest, makeManifest } from '#context';
import { type Digest, digestOf } from '#oci';
import { BuildView, CONTEXT_MANIFEST_TYPE, ContextView, SessionAsk } from '#protocol';
import { Farm } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

const ask = (path: string, options: RequestInit & { readonly type: string }): Promise<Response> =>
  fetch(`${farm.url}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${farm.token}`, 'content-type': options.type },
  });

async function put(text: string): Promise<void> {
  const answer = await ask(`/v1/blobs/${digestOf(text)}`, {
    ...{ method: 'PUT', body: text, type: 'application/octet-stream' },
  });
  expect(answer.status).toBe(200);
}

/** Files by name, as a client has them. */
class Client {
  readonly asked: Digest[] = [];

  constructor(
    readonly files: Readonly<Record<string, string>>,
    readonly mtime: number,
  ) {}

  /** Sends the manifest alone, and builds of it; with a session, what is asked for is sent. */
  async build(session: boolean): Promise<BuildView> {
    const entries = Object.entries(this.files).map(([path, text]): TreeEntry => {
      const size = Buffer.byteLength(text);
      return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: this.mtime, size, digest: digestOf(text) };
    });
    const body = new Uint8Array(encodeManifest(makeManifest(entries)));
    const taken = await ask('/v1/contexts', { method: 'POST', body, type: CONTEXT_MANIFEST_TYPE });
    const { digest } = ContextView.parse(await taken.json());
    const request = { contexts: { context: { digest } }, request: {} };
    const accepted = await ask('/v1/builds', {
      ...{ method: 'POST', body: JSON.stringify(request), type: 'application/json' },
    });
    const { id } = BuildView.parse(await accepted.json());
    const socket = session ? this.#session(id) : undefined;
    const headers = { authorization: `Bearer ${farm.token}` };
    await (await fetch(`${farm.url}/v1/builds/${id}/logs?follow=true`, { headers })).text();
    if (socket !== undefined && socket.readyState !== WebSocket.CLOSED) {
      socket.close();
      await once(socket, 'close');
    }
    return BuildView.parse(await (await fetch(`${farm.url}/v1/builds/${id}`, { headers })).json());
  }

  #session(id: string): WebSocket {
    const socket = new WebSocket(`${farm.url.replace('http', 'ws')}/v1/builds/${id}/session`, {
      headers: { authorization: `Bearer ${farm.token}` },
    });
    socket.addEventListener('message', ({ data }) => void this.#answer(socket, String(data)));
    return socket;
  }

  async #answer(socket: WebSocket, text: string): Promise<void> {
    const asked = SessionAsk.parse(JSON.parse(text));
    if (asked.type !== 'files') return;
    this.asked.push(...asked.digests);
    for (const each of Object.values(this.files)) if (asked.digests.includes(digestOf(each))) await put(each);
    socket.send(JSON.stringify({ type: 'sent', id: asked.id }));
  }
}

const files = {
  Dockerfile: 'FROM box:1\nCOPY first /\nRUN cat /first > /seen\nCOPY second /\n',
  first: 'the first file\n',
  second: 'the second file\n',
  unused: 'nobody copies it\n',
};

it('files are asked for when a step needs them, and never again', async () => {
  const client = new Client(files, 1_700_000_000);
  const built = await client.build(true);
  expect(built).toMatchObject({ state: 'succeeded', result: { steps: { run: 3 } } });
  const { Dockerfile, first, second } = files;
  expect(client.asked.toSorted()).toEqual([Dockerfile, first, second].map((text) => digestOf(text)).toSorted());
  const sizes = [Dockerfile, first, second].map((text) => text.length);
  expect(built.result?.bytes.contextSent).toBe(sizes.reduce((sum, size) => sum + size, 0));

  // A fresh checkout: every time is another, and nobody is there to be asked.
  const again = await new Client(files, 1_800_000_000).build(false);
  expect(again).toMatchObject({ state: 'succeeded', result: { steps: { run: 0, hit: 3 } } });
  expect(again.result?.bytes.contextSent).toBe(0);

  const changed = new Client({ ...files, second: 'changed\n' }, 1_800_000_000);
  expect(await changed.build(true)).toMatchObject({ state: 'succeeded', result: { steps: { run: 1, hit: 2 } } });
  expect(changed.asked).toEqual([digestOf('changed\n')]);
});

it('a build whose client has left fails by name', async () => {
  const left = await new Client({ ...files, first: 'never sent\n' }, 1).build(false);
  expect(left).toMatchObject({ state: 'failed', failure: { code: 'CONTEXT_INVALID' } });
  expect(left.failure?.message).toContain('the client that sends the context has left');
});
