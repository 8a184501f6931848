import type { LocalFile } from '#context';
import { type Digest, digestOf } from '#oci';
import { KilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { LARGE_BYTES, PACK_BYTES } from './blob-uploads.ts';
import { ContextSender, type SentCount } from './context-sender.ts';
import type { WantedFile } from './file-pack.ts';

const local = (name: string, sizeBytes: number): readonly [Digest, LocalFile] => [
  digestOf(name),
  { path: name, diskPath: Buffer.from(name), sizeBytes, stamp: { version: '', mtimeNs: 0n, ctimeNs: 0n } },
];

/** Uploads that end when they are let. */
class Uploads {
  readonly packs: (readonly string[])[] = [];
  readonly alone: string[] = [];
  failure: Error | undefined;
  gate: Promise<void> = Promise.resolve();

  async pack(wanted: readonly WantedFile[]): Promise<void> {
    this.packs.push(wanted.map(({ file }) => file.path));
    await this.#end();
  }

  async large({ file }: WantedFile): Promise<void> {
    this.alone.push(file.path);
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }
}

const { signal } = new AbortController();

describe('a context sender', () => {
  it('packs what is small, and sends what is large alone', async () => {
    const half = PACK_BYTES / 8;
    const small = Array.from({ length: 10 }, (_, index) => local(`s${index}`, half));
    const files = new Map([...small, local('edge', LARGE_BYTES), local('large', LARGE_BYTES + 1)]);
    const uploads = new Uploads();
    const told: SentCount[] = [];
    const sender = new ContextSender({ files, uploads, onSent: (sent) => told.push(sent) });
    await sender.send(files.keys(), signal);
    expect(uploads.alone).toEqual(['large']);
    expect(uploads.packs.flat()).toEqual([...small.map(([, { path }]) => path), 'edge']);
    for (const pack of uploads.packs) expect(pack.length).toBeLessThan(8);
    const sizeBytes = 10 * half + 2 * LARGE_BYTES + 1;
    expect([sender.sent, told.at(-1)]).toEqual([
      { files: 12, sizeBytes },
      { files: 12, sizeBytes },
    ]);
  });

  it('sends once what is asked for twice at a time, and again what is asked for again', async () => {
    const files = new Map([local('a', 1), local('b', 1)]);
    const [a, b] = [...files.keys()];
    if (a === undefined || b === undefined) throw new Error('no files');
    const uploads = new Uploads();
    const gate = Promise.withResolvers<void>();
    uploads.gate = gate.promise;
    const sender = new ContextSender({ files, uploads });
    const both = [sender.send([a], signal), sender.send([b, a], signal)];
    gate.resolve();
    await Promise.all(both);
    expect(uploads.packs).toEqual([['a'], ['b']]);
    await sender.send([a], signal);
    expect(uploads.packs.length).toBe(3);
  });

  it('tells everybody who waits that it failed, and tries again when asked again', async () => {
    const files = new Map([local('a', 1)]);
    const uploads = new Uploads();
    uploads.failure = new KilnError('CONTEXT_INVALID', 'it changed');
    const sender = new ContextSender({ files, uploads });
    const both = await Promise.allSettled([sender.send(files.keys(), signal), sender.send(files.keys(), signal)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect([uploads.packs.length, sender.sent.files]).toEqual([1, 0]);
    uploads.failure = undefined;
    await sender.send(files.keys(), signal);
    expect(sender.sent.files).toBe(1);
  });

  it('gives nothing that is of no context', async () => {
    const sender = new ContextSender({ files: new Map([local('a', 1)]), uploads: new Uploads() });
    await expect(sender.send([digestOf('/etc/passwd')], signal)).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
  });
});
