import type { StoredRequest } from '#protocol';
import { KilnError } from '#std';

/** @throws KilnError INVALID_ARGUMENT for what another call has, or what this one lacks */
export function checkCall({ call, image, tags, run, reference, outputs }: StoredRequest): void {
  const wrong = (field: string, message: string): KilnError => new KilnError('INVALID_ARGUMENT', message, { field });
  if (image !== undefined && call !== 'push' && call !== 'run')
    throw wrong('image', 'image goes with the calls push and run');
  if ((call === 'run') !== (run !== undefined)) throw wrong('run', 'run goes with the call run, and the call with it');
  if ((call === 'run') !== (reference !== undefined))
    throw wrong('reference', 'reference goes with the call run, and the call with it');
  if (call === 'run' && outputs.length + tags.length > 0)
    throw wrong(outputs.length > 0 ? 'outputs' : 'tags', 'a container that ran leaves no image');
  if (call !== 'push') return;
  if (image === undefined) throw wrong('image', 'the call push goes with an image');
  if (tags.length === 0) throw wrong('tags', 'an image is pushed under tags, and there is none');
}
