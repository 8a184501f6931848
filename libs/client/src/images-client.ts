import {
  BuildView,
  ImageChanges,
  ImageDetail,
  ImageLayers,
  ImageList,
  type PushRequestInput,
  RemovedImage,
  type RunRequestInput,
} from '#protocol';
import type { ApiConnection } from './api-connection.ts';
import { type RetryOptions, SUBMIT_ANSWER_MS } from './submit-options.ts';

export interface ImageListOptions {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly name?: string | undefined;
  /** those without a name, and intermediate ones, too */
  readonly all?: boolean | undefined;
}

const imagePath = (image: string, rest = ''): string => `/v1/images/${encodeURIComponent(image)}${rest}`;
const json = { 'content-type': 'application/json' };

/** Images that builds made: each by its name, its digest, or the digest of its config. */
export class ImagesClient {
  readonly #connection: ApiConnection;

  constructor(connection: ApiConnection) {
    this.#connection = connection;
  }

  /** One page, newest first. */
  list({ limit, cursor, name, all }: ImageListOptions = {}, signal?: AbortSignal): Promise<ImageList> {
    const query = new URLSearchParams();
    if (limit !== undefined) query.set('limit', String(limit));
    if (cursor !== undefined) query.set('cursor', cursor);
    if (name !== undefined) query.set('name', name);
    if (all === true) query.set('all', 'true');
    return this.#connection.json(ImageList, { path: `/v1/images?${query.toString()}`, signal });
  }

  image(image: string, signal?: AbortSignal): Promise<ImageDetail> {
    return this.#connection.json(ImageDetail, { path: imagePath(image), signal });
  }

  /** What the layers hold. */
  layers(image: string, signal?: AbortSignal): Promise<ImageLayers> {
    return this.#connection.json(ImageLayers, { path: imagePath(image, '/layers'), signal });
  }

  /** What an image has that another one has not, and the other way round. */
  changes(image: string, before: string, signal?: AbortSignal): Promise<ImageChanges> {
    const path = imagePath(image, `/changes?with=${encodeURIComponent(before)}`);
    return this.#connection.json(ImageChanges, { path, signal });
  }

  tag(image: string, name: string): Promise<ImageDetail> {
    const body = JSON.stringify({ name });
    return this.#connection.json(ImageDetail, { method: 'POST', path: imagePath(image, '/tag'), headers: json, body });
  }

  /** Answers with the build that pushes. */
  push(image: string, request: PushRequestInput, options: RetryOptions): Promise<BuildView> {
    return this.#submit(imagePath(image, '/push'), request, options);
  }

  /** Answers with the build that runs a container of it. */
  run(image: string, request: RunRequestInput, options: RetryOptions): Promise<BuildView> {
    return this.#submit(imagePath(image, '/run'), request, options);
  }

  remove(image: string, { force }: { readonly force: boolean }): Promise<RemovedImage> {
    const query = force ? '?force=true' : '';
    return this.#connection.json(RemovedImage, { method: 'DELETE', path: `${imagePath(image)}${query}` });
  }
  #submit(path: string, request: object, { idempotencyKey, signal }: RetryOptions): Promise<BuildView> {
    return this.#connection.retrying(signal, () =>
      this.#connection.json(BuildView, {
        method: 'POST',
        path,
        headers: { ...json, 'idempotency-key': idempotencyKey },
        body: JSON.stringify(request),
        signal,
        answerMs: SUBMIT_ANSWER_MS,
      }),
    );
  }
}
