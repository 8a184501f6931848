import fc from 'fast-check';
import { z } from 'zod';
import { mutated, odd, type Schemas, valuesOf } from './values.ts';

const Content = z.record(z.string(), z.looseObject({ schema: z.unknown().optional() }));
const Operation = z.looseObject({
  security: z.array(z.object({ token: z.array(z.string()) })),
  'x-websocket': z.literal(true).optional(),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string(), required: z.boolean(), schema: z.unknown() })),
  requestBody: z.looseObject({ content: Content }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content: Content.optional() })),
});
export const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

export interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: z.infer<typeof Operation>;
}

/** A request as it goes out. */
export interface Shot {
  readonly route: Route;
  readonly token: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** What is there to be asked for, by the name of the parameter. */
export type Pools = Readonly<Record<string, readonly string[]>>;

/** As UTF-8, also where half of a pair stands alone: that is how it would come from elsewhere. */
function percent(text: string): string {
  return [...text]
    .map((each) => {
      const code = each.codePointAt(0) ?? 0;
      if (code < 0xd800 || code > 0xdfff) return encodeURIComponent(each);
      return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]
        .map((byte) => `%${byte.toString(16)}`)
        .join('');
    })
    .join('');
}

const asText = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined ? '' : (JSON.stringify(value) ?? '');

function pathOf({ path, operation }: Route, pools: Pools, schemas: Schemas): fc.Arbitrary<string> {
  const given = operation.parameters.filter((each) => each.in === 'path');
  const values = given.map(({ name, schema }) => {
    const strange = fc.oneof(odd.map(asText).map(percent), fc.constantFrom('%zz', '%', '%ff', '.', '..', '%2f'));
    return fc.oneof(
      { arbitrary: fc.constantFrom(...(pools[name] ?? ['x'])), weight: 6 },
      { arbitrary: valuesOf(schema, schemas).map(asText).map(percent), weight: 1 },
      { arbitrary: strange, weight: 2 },
    );
  });
  return fc
    .tuple(...values)
    .map((filled) =>
      given.reduce((text, { name }, at) => text.replace(`{${name}}`, () => filled[at]?.slice(0, 2_000) ?? ''), path),
    );
}

function queryOf({ operation }: Route, schemas: Schemas): fc.Arbitrary<string> {
  const known = operation.parameters.filter((each) => each.in === 'query');
  const pairs = known.map(({ name, schema, required }) => {
    const value = fc.oneof({ arbitrary: valuesOf(schema, schemas), weight: 8 }, { arbitrary: odd, weight: 1 });
    const several = value.map((each): readonly unknown[] => (Array.isArray(each) ? each : [each]));
    return fc
      .option(fc.oneof({ arbitrary: several, weight: 9 }, { arbitrary: fc.tuple(value, value), weight: 1 }), {
        freq: required ? 9 : 1,
      })
      .map((values) => (values ?? []).map((each) => `${name}=${percent(asText(each)).slice(0, 4_000)}`));
  });
  const stray = fc.constantFrom('', '', '', '', 'x=1', '=', '&&', 'limit[]=1', '__proto__=1', 'a[b]=c', '%', '%00=%00');
  const some = fc.tuple(stray, ...pairs).map(([extra, ...each]) => {
    const text = [...each.flat(), extra].filter((part) => part !== '').join('&');
    return text === '' ? '' : `?${text}`;
  });
  if (known.some(({ required }) => required)) return some;
  // Where there are many, some are nearly always given.
  return fc.oneof({ arbitrary: some, weight: 2 }, { arbitrary: fc.constant(''), weight: 1 });
}

interface Body {
  readonly type: string | undefined;
  readonly bytes: Uint8Array;
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value) ?? '');
const members = z.record(z.string(), z.unknown());

function multipart(value: unknown, archive: Uint8Array): Uint8Array {
  const parts = members.safeParse(value).data ?? {};
  const chunks = Object.entries(parts).flatMap(([name, part]) => {
    const isFile = name.startsWith('context') && name !== 'contexts';
    const head = `--b\r\nContent-Disposition: form-data; name="${encodeURIComponent(name.toWellFormed())}"${isFile ? '; filename="c"' : ''}\r\n\r\n`;
    return [Buffer.from(head), isFile ? archive : json(part), Buffer.from('\r\n')];
  });
  return Buffer.concat([...chunks, Buffer.from('--b--\r\n')]);
}

function bodyOf({ operation }: Route, schemas: Schemas, archive: Uint8Array): fc.Arbitrary<Body | undefined> {
  const kinds = Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]): fc.Arbitrary<Body> => {
    if (schema === undefined) {
      const bytes = fc.oneof(fc.constant(archive), fc.uint8Array({ maxLength: 2_000 }));
      return bytes.map((each) => ({ type, bytes: each }));
    }
    const values = valuesOf(schema, schemas);
    const any = fc.oneof({ arbitrary: values, weight: 1 }, { arbitrary: mutated(values), weight: 2 });
    if (type !== 'multipart/form-data') return any.map((value) => ({ type, bytes: json(value) }));
    return any.map((value) => ({ type: `${type}; boundary=b`, bytes: multipart(value, archive) }));
  });
  const types = fc.constantFrom(
    undefined,
    '',
    'x',
    'text/plain',
    'image/png',
    'application/json; charset=utf-16',
    'multipart/form-data',
    'application/x-tar',
    'application/json',
  );
  const texts = fc.oneof(
    odd.map(json),
    fc.constantFrom('', '{', '{"__proto__":1}', 'null', '[]').map((text) => Buffer.from(text)),
  );
  const strange = fc.record({ type: types, bytes: texts });
  if (kinds.length === 0) return fc.option(strange, { nil: undefined, freq: 3 });
  const cut = fc.tuple(fc.oneof(...kinds), fc.nat()).map(([{ type, bytes }, at]) => ({
    type,
    bytes: bytes.subarray(0, at % (bytes.byteLength + 1)),
  }));
  return fc.oneof(
    { arbitrary: fc.oneof(...kinds), weight: 8 },
    { arbitrary: cut, weight: 1 },
    { arbitrary: strange, weight: 2 },
  );
}

const printable = fc.stringMatching(/^[\x21-\x7e]{0,40}$/);

function headersOf({ operation }: Route): fc.Arbitrary<Record<string, string>> {
  const named = operation.parameters.filter((each) => each.in === 'header').map(({ name }) => name);
  const names = fc.constantFrom(
    ...named,
    ...named,
    'Accept',
    'If-None-Match',
    'Range',
    'Origin',
    'Expect',
    'X-Forwarded-For',
  );
  const values = fc.oneof(
    printable,
    fc.constantFrom('text/event-stream', '*', '""', 'W/"', '-1', '1', 'é', '\x80', '\t', 'x'.repeat(9_000)),
  );
  return fc.oneof(
    { arbitrary: fc.constant({}), weight: 2 },
    { arbitrary: fc.dictionary(names, values, { maxKeys: 3 }), weight: 1 },
  );
}

/** Requests to a route: as its document says, and every which way. */
export function shots(
  route: Route,
  {
    schemas,
    pools,
    tokens,
    archive,
  }: {
    readonly schemas: Schemas;
    readonly pools: Pools;
    readonly tokens: readonly string[];
    readonly archive: Uint8Array;
  },
): fc.Arbitrary<Shot> {
  return fc
    .tuple(
      fc.constantFrom(...tokens),
      pathOf(route, pools, schemas),
      queryOf(route, schemas),
      headersOf(route),
      route.method === 'GET' ? fc.constant(undefined) : bodyOf(route, schemas, archive),
    )
    .map(([token, path, query, headers, body]) => ({
      route,
      token,
      path: path + query,
      headers: { ...headers, ...(body?.type === undefined ? {} : { 'content-type': body.type }) },
      body: body?.bytes,
      // What a failure shows.
      [fc.toStringMethod]: () =>
        `${route.method} ${path}${query} ${JSON.stringify(headers)} ${token} ${body?.type} ${Buffer.from(
          body?.bytes ?? [],
        )
          .toString()
          .slice(0, 2_000)}`,
    }));
}
