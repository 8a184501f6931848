import type { TreeEntry } from '#content';
import { makeManifest } from '#context';
import { type Digest, digestOf } from '#oci';
import { collect, KilnError, single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { SentContent } from './sent-content.ts';

const signal = new AbortController().signal;
const file = (path: string, text: string, size = text.length): TreeEntry => ({
  ...{ path, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size, digest: digestOf(text) },
});

/** A build of files `a` and `b`, of which the project has those that are granted. */
class Sending {
  readonly near = new MemoryContentStore();
  readonly granted = new Set<Digest>();
  readonly asked: Digest[][] = [];
  /** what the client does when it is asked */
  client = async (digests: readonly Digest[]): Promise<void> => {
    for (const text of ['a', 'b']) {
      if (!digests.includes(digestOf(text))) continue;
      await this.near.put(single(text));
      this.granted.add(digestOf(text));
    }
  };
  sentBytes = 0;
  readonly sent: SentContent;

  constructor(size = 1) {
    this.sent = new SentContent({
      near: this.near,
      manifests: [makeManifest([file('a', 'a', size), file('b', 'b')])],
      grants: { missing: async (digests) => new Set(digests).difference(this.granted) },
      session: {
        files: async (digests) => {
          this.asked.push([...digests]);
          await this.client(digests);
        },
      },
      onSent: (bytes) => (this.sentBytes += bytes),
      signal,
    });
  }

  async read(text: string): Promise<string> {
    return (await collect(this.sent.content.get(digestOf(text)), 100)).toString();
  }
}

describe('SentContent', () => {
  it('asks for a file once, when it is read', async () => {
    const sending = new Sending();
    expect(sending.asked).toEqual([]);
    expect(await Promise.all([sending.read('a'), sending.read('a')])).toEqual(['a', 'a']);
    expect(await sending.read('a')).toBe('a');
    expect(sending.asked).toEqual([[digestOf('a')]]);
    expect(sending.sentBytes).toBe(1);
  });

  it('asks for nothing that the project has, nor for what is of no context', async () => {
    const sending = new Sending();
    await sending.client([digestOf('a')]);
    await sending.near.put(single('else'));
    expect([await sending.read('a'), await sending.read('else')]).toEqual(['a', 'else']);
    expect(sending.asked).toEqual([]);
  });

  it('gives nothing that the farm has of another project', async () => {
    const sending = new Sending();
    await sending.near.put(single('a'));
    expect(await sending.sent.content.findMissing(new Set([digestOf('a')]))).toEqual(new Set([digestOf('a')]));
    sending.client = async () => {};
    await expect(sending.read('a')).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
  });

  it('asks again after a failure, and for what was lost behind the index', async () => {
    const sending = new Sending();
    const { client } = sending;
    sending.client = async () => {
      throw new KilnError('CONTEXT_INVALID', 'it has left');
    };
    await expect(sending.sent.bring([digestOf('a')])).rejects.toThrow('it has left');
    sending.sent.expect([digestOf('b')]);
    sending.client = client;
    expect(await sending.read('a')).toBe('a');
    await sending.near.remove(new Set([digestOf('a')]));
    expect(await sending.read('a')).toBe('a');
  });

  it('believes no manifest about sizes', async () => {
    await expect(new Sending(2).read('a')).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
  });
});
