import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type KilnClient, unpackFiles } from '#client';
import type { BuildResult, BuildView } from '#protocol';
import { type Bytes, KilnError, unreachable } from '#std';
import type { Renderer } from '../progress/client-event.ts';
import { size } from '../progress/duration.ts';
import { addToLayout } from './layout-directory.ts';
import { loadImage } from './load-image.ts';
import type { LoadTarget } from './load-target.ts';
import { replaceWithBytes } from './write-file.ts';

/** A destination that has been looked at: it can be written to. */
export type Target =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' }
  | { readonly kind: 'directory'; readonly path: string; readonly content: 'files' | 'layout' }
  | { readonly kind: 'load'; readonly into: LoadTarget };

export interface WritingOutputs {
  readonly client: KilnClient;
  readonly build: BuildView;
  readonly result: BuildResult;
  readonly renderer: Renderer;
  readonly stdout: NodeJS.WritableStream;
  readonly targets: readonly Target[];
  readonly signal: AbortSignal;
}

/** Brings what the farm made to where it was asked for. */
export async function writeOutputs(writing: WritingOutputs): Promise<void> {
  const { client, build, result, targets, signal } = writing;
  for (const [index, target] of targets.entries()) {
    signal.throwIfAborted();
    const expected = result.outputs[index];
    if (expected === undefined) throw new KilnError('INTERNAL', `the farm made no output ${index}`);
    const bytes = client.output(build.id, index, expected, signal);
    await write(writing, target, { bytes, shownSize: size(expected.sizeBytes) });
  }
}

async function write(
  { renderer, stdout, signal }: WritingOutputs,
  target: Target,
  { bytes, shownSize }: { readonly bytes: Bytes; readonly shownSize: string },
): Promise<void> {
  switch (target.kind) {
    case 'file':
      await replaceWithBytes(target.path, bytes);
      return renderer.note(`wrote ${target.path} (${shownSize})`);
    case 'stdout':
      // A reader that goes away has not got it.
      process.exitCode = 1;
      await pipeline(Readable.from(bytes, { objectMode: false }), stdout, { end: false });
      process.exitCode = undefined;
      return;
    case 'directory': {
      if (target.content === 'layout') await addToLayout(bytes, target.path, signal);
      else {
        const onLeftOut = (name: string): void => renderer.note(`left out ${name}: devices and pipes are not made`);
        await unpackFiles(bytes, { into: target.path, onLeftOut, signal });
      }
      return renderer.note(`wrote ${target.path} (${shownSize})`);
    }
    case 'load':
      for (const line of await loadImage(target.into, bytes, signal)) renderer.note(line);
      return;
    default:
      return unreachable(target);
  }
}
