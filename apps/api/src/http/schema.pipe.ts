import { type ArgumentMetadata, Injectable, StandardSchemaValidationPipe } from '@nestjs/common';
import { KilnError } from '#std';
import { z } from 'zod';
import { invalid, type Issue } from './problem.ts';

/** What a schema complained of, on its way to where the schema is known. */
class Refused extends Error {
  constructor(readonly issues: readonly Issue[]) {
    super('not as the schema says');
  }
}

/** Checks what a route is given by its schema; a name that nobody knows is answered with the one that is likely meant. */
@Injectable()
export class SchemaPipe extends StandardSchemaValidationPipe {
  constructor() {
    super({ exceptionFactory: (issues) => new Refused(issues) });
  }

  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    try {
      return await super.transform(value, metadata);
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      if (metadata.type === 'body' && value === undefined) throw noBody();
      throw invalid(thrown.issues, namesIn(metadata.schema));
    }
  }
}

const noBody = (): KilnError =>
  new KilnError('INVALID_ARGUMENT', 'there is no body', {
    field: 'body',
    hint: 'send JSON, with Content-Type: application/json; /docs shows what this route takes',
  });

/** The names that an object of this schema may have. */
function namesIn(schema: unknown): readonly string[] {
  if (schema instanceof z.ZodPipe) return namesIn(schema.in);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}
