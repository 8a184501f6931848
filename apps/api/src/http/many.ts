import { z } from 'zod';

/** A parameter that may come several times. */
export function many<S extends z.ZodType>(schema: S): z.ZodType<z.output<S>> {
  return z.preprocess((given) => (typeof given === 'string' ? [given] : given), schema);
}
