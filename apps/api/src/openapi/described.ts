import { type CustomDecorator, SetMetadata } from '@nestjs/common';
import type { ErrorCode } from '#std';
import type { z } from 'zod';

export const DESCRIPTION = 'kiln:description';

/** What is sent, by media type; a media type without a schema is bytes. */
export type Content = Readonly<Record<string, z.ZodType | null>>;

/**
 * What a route's decorators and the schemas of its parameters do not say already: those of `@Query`, `@Param` and `@Body`
 * are read from where they validate.
 */
export interface Description {
  /** on one line */
  readonly summary: string;
  readonly detail?: string;
  /** of the status that the route has; a schema alone is JSON */
  readonly answer: z.ZodType | Content;
  /** of further statuses */
  readonly answers?: Readonly<Record<number, z.ZodType>>;
  /** of bodies that the route reads by itself */
  readonly body?: Content;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  /** besides those that every route of its kind may answer with */
  readonly errors?: readonly ErrorCode[];
}

/** Puts a route into the API's document; every route needs one. */
export const Described = (description: Description): CustomDecorator => SetMetadata(DESCRIPTION, description);
