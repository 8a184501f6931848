import { Validator } from '@seriousme/openapi-schema-validator';
import { Problem } from '#protocol';
import request, { type Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Method } from './caller.ts';
import { type Farm, operatorToken, startFarm } from './farm.ts';

const Operation = z.looseObject({
  security: z.array(z.object({ token: z.array(z.string()) })),
  requestBody: z.looseObject({ content: z.record(z.string(), z.unknown()) }).optional(),
  'x-websocket': z.literal(true).optional(),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).optional() })),
});
const Document = z.looseObject({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.looseObject({})) }),
});

let farm: Farm;
let document: z.infer<typeof Document>;
beforeAll(async () => {
  farm = await startFarm();
  const answer = await request(farm.url).get('/v1/openapi.json');
  expect(answer.status).toBe(200);
  document = Document.parse(answer.body);
});
afterAll(() => farm[Symbol.asyncDispose]());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );

describe('the document', () => {
  it('is OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect([valid, errors]).toEqual([true, undefined]);
  });

  it('holds every route of the server, and no other', () => {
    // Whoever adds a route puts @Described beside its handler.
    // Docker describes its own.
    const served = [...farm.routes].filter((route) => !/^(?:HEAD|OPTIONS) |^\S+ \/engine\//.test(route));
    const described = operations().filter(({ operation }) => operation['x-websocket'] === undefined);
    expect(served.sort()).toEqual(described.map(({ name }) => name).sort());
  });

  it('says of every route what a problem looks like', () => {
    for (const { name, operation } of operations()) {
      for (const [status, { content = {} }] of Object.entries(operation.responses)) {
        if (Number(status) < 400 || (name === 'GET /readyz' && status === '503')) continue;
        const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
        expect([name, status, content]).toEqual([name, status, problem]);
      }
    }
  });

  it('has all that a route takes: what else is given is refused by name', async () => {
    const tokens: Readonly<Record<string, string>> = { operator: operatorToken };
    const taken: unknown[] = [];
    for (const { name, operation } of operations()) {
      const [verb = '', path = ''] = name.split(' ');
      // Pages and probes take no parameters, and are no business of programs; what an issuer adds is its own.
      if (!path.startsWith('/v1/') || /openapi\.json$|callback$|badge\.svg$/.test(path)) continue;
      if (operation['x-websocket'] !== undefined) continue;
      const token = tokens[operation.security[0]?.token[0] ?? ''] ?? farm.tokens.owner;
      const at = path.replace('{digest}', `sha256:${'0'.repeat(64)}`).replace(/\{\w+\}/g, '0');
      const send = (query: string): Test =>
        request(farm.url)[Method.parse(verb.toLowerCase())](`${at}${query}`).set('authorization', `Bearer ${token}`);
      const json = operation.requestBody?.content['application/json'] !== undefined;
      const required: Readonly<Record<string, string>> = {
        '/v1/builds/{id}/logs/search': '&text=x',
        '/v1/images/{image}/changes': '&with=x',
      };
      const answers = [await send(`?no-such=1${required[path] ?? ''}`)];
      if (json) answers.push(await send('').send({ 'no-such': 1 }));
      for (const { status, text, body } of answers) {
        const { code, field } = Problem.partial().parse(body);
        if (status !== 400 || code !== 'INVALID_ARGUMENT' || field === undefined) taken.push([name, status, text]);
      }
    }
    expect(taken).toEqual([]);
  });

  it('names schemas once, and has all that it refers to', () => {
    const text = JSON.stringify(document);
    const names = [...text.matchAll(/"#\/components\/schemas\/([A-Za-z0-9]+)"/g)].map(([, name]) => name);
    expect([...new Set(names)].sort()).toEqual(Object.keys(document.components.schemas).sort());
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      expect([name, Object.keys(schema).length > 0]).toEqual([name, true]);
    }
    // What has a default may be left out by who asks, and is there for who reads.
    expect(document.components.schemas['StoredRequest']?.['required']).toContain('tags');
    expect(document.components.schemas['BuildRequestInput']?.['required']).toBeUndefined();
    expect(document.components.schemas['BuildRequestInput']?.['additionalProperties']).toBe(false);
  });
});

describe('the page', () => {
  it('tells each route, and loads and runs nothing', async () => {
    const { headers, text } = await request(farm.url).get('/docs');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(text).not.toMatch(/<script|<link|<img|https?:\/\//);
    for (const path of Object.keys(document.paths)) expect(text).toContain(`<code>${path}</code>`);
    const targets = new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, link] of text.matchAll(/href="#([^"]+)"/g)) expect(targets).toContain(link);
  });
});
