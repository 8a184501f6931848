import request, { type Test } from 'supertest';
import type { Farm } from './farm.ts';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** One request with a token, `''` for none. */
export function asker(farm: () => Farm) {
  return (method: Method, path: string, token: string, body?: object): Test => {
    const asked = request(farm().url)[method](path);
    if (token !== '') void asked.set('authorization', `Bearer ${token}`);
    return body === undefined ? asked : asked.send(body);
  };
}
