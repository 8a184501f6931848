import request, { type Test } from 'supertest';
import { z } from 'zod';
import type { Farm } from './farm.ts';

export const Method = z.enum(['get', 'post', 'put', 'patch', 'delete']);
export type Method = z.infer<typeof Method>;

/** One request with a token, `''` for none. */
export function asker(farm: () => Farm) {
  return (method: Method, path: string, token: string, body?: object): Test => {
    const asked = request(farm().url)[method](path);
    if (token !== '') void asked.set('authorization', `Bearer ${token}`);
    return body === undefined ? asked : asked.send(body);
  };
}
