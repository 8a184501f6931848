import { Body, Controller, Delete, Get, Inject, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ImageChanges, ImageDetail, ImageLayers, ImageList, ImageName, RemovedImage, TagRequest } from '#protocol';
import type { ContentStore } from '#content';
import { DigestSchema, mediaType } from '#oci';
import { KilnError } from '#std';
import type { ImageStore, Principal } from '#storage';
import { z } from 'zod';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { clientSignal } from '../http/leaving.ts';
import { begun } from '../builds/begun.ts';
import { readable } from '../builds/readable.ts';
import { CONTENT, IMAGES, SHUTDOWN } from '../tokens.ts';
import { changesOf, layersOf } from './image-files.ts';

const flag = z.enum(['0', '1', 'true', 'false']).default('0');
const isOn = (value: z.infer<typeof flag>): boolean => value === '1' || value === 'true';

const ListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(64).optional(),
  name: ImageName.optional(),
  all: flag,
});
const ChangesQuery = z.strictObject({ with: z.string().min(1).max(512) });
const AttestationParams = z.object({ image: z.string(), digest: DigestSchema });
const RemoveQuery = z.strictObject({ force: flag });

/** Images that builds made: by name (written as in a URL: `acme%2Fapp:1`), digest or id. */
@Controller('v1/images')
export class ImagesController {
  readonly #images: ImageStore;
  readonly #content: ContentStore;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(IMAGES) images: ImageStore,
    @Inject(CONTENT) content: ContentStore,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#images = images;
    this.#content = content;
    this.#shutdown = shutdown;
  }

  @Described({ summary: 'images that builds made, the newest first', answer: ImageList })
  @Get()
  async list(
    @Caller() caller: Principal,
    @Query({ schema: ListQuery }) { limit, cursor, name, all }: z.infer<typeof ListQuery>,
  ): Promise<ImageList> {
    return await this.#images.list(caller, { limit, cursor, name, all: isOn(all) });
  }

  @Described({
    summary: 'an image with its layers and its history',
    detail: 'By name, by digest, or by the digest of its config; of digests the first digits suffice.',
    answer: ImageDetail,
    errors: ['CONFLICT'],
  })
  @Get(':image')
  async get(@Caller() caller: Principal, @Param('image') image: string): Promise<ImageDetail> {
    return await this.#images.get(caller, image);
  }

  @Described({ summary: 'what the layers of an image hold', answer: ImageLayers, errors: ['CONFLICT'] })
  @Get(':image/layers')
  async layers(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ImageLayers> {
    const signal = clientSignal(reply, this.#shutdown.signal);
    return await layersOf(this.#content, await this.#images.get(caller, image), signal);
  }

  @Described({
    summary: 'what an image has that another one has not, and the other way round',
    detail: 'The files of `with` are those before, the image’s those after. Times of files do not count.',
    answer: ImageChanges,
    errors: ['CONFLICT'],
  })
  @Get(':image/changes')
  async changes(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Query({ schema: ChangesQuery }) { with: other }: z.infer<typeof ChangesQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ImageChanges> {
    const signal = clientSignal(reply, this.#shutdown.signal);
    const [before, after] = [await this.#images.get(caller, other), await this.#images.get(caller, image)];
    return await changesOf(this.#content, before, after, signal);
  }

  @Described({
    summary: 'what is told of an image: a statement of in-toto',
    detail: 'As it is beside the image in registries; the image has the digests of its statements.',
    answer: { [mediaType.inToto]: null },
    errors: ['CONFLICT', 'BLOB_MISSING'],
  })
  @Get(':image/attestations/:digest')
  async attestation(
    @Caller() caller: Principal,
    @Param({ schema: AttestationParams }) { image, digest }: z.infer<typeof AttestationParams>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { content } = await this.#images.get(caller, image);
    const told = content.variants.flatMap(({ attestations = [] }) => attestations);
    const found = told.find(({ descriptor }) => descriptor.digest === digest);
    if (found === undefined) throw new KilnError('NOT_FOUND', `the image has no attestation ${digest}`);
    const signal = clientSignal(reply, this.#shutdown.signal);
    const body = await begun(this.#content.get(digest, signal));
    await reply
      .type(mediaType.inToto)
      .header('content-length', found.descriptor.size)
      .header('content-disposition', `attachment; filename="${digest.slice('sha256:'.length, 19)}.intoto.json"`)
      .send(readable(body));
  }

  @Described({
    summary: 'give an image one more name',
    detail: 'In the scope of the token; the image that had it there loses it.',
    answer: ImageDetail,
    errors: ['CONFLICT'],
  })
  @Post(':image/tag')
  async tag(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Body({ schema: TagRequest }) { name }: TagRequest,
  ): Promise<ImageDetail> {
    return await this.#images.tag(caller, image, name);
  }

  @Described({
    summary: 'take a name from an image, and with its last one the image',
    detail: 'By digest or id all its names, where it has more than one with force.',
    answer: RemovedImage,
    errors: ['CONFLICT'],
  })
  @Delete(':image')
  async remove(
    @Caller() caller: Principal,
    @Param('image') image: string,
    @Query({ schema: RemoveQuery }) { force }: z.infer<typeof RemoveQuery>,
  ): Promise<RemovedImage> {
    return await this.#images.remove(caller, image, { force: isOn(force) });
  }
}
