import fc from 'fast-check';
import { z } from 'zod';

/** What of JSON Schema the API's document uses. */
const Node = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
  propertyNames: z.unknown().optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
  contentEncoding: z.string().optional(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});
type Node = z.infer<typeof Node>;
export type Schemas = Readonly<Record<string, unknown>>;

/** Names of images and the like are checked by more than a schema says: these pass. */
const plausible = fc.constantFrom('app', 'main', 'linux/amd64', 'acme/app:1', 'a');
const MAX_ITEMS = 3;

/** Values that a schema allows, or nearly. */
export function valuesOf(schema: unknown, schemas: Schemas, depth = 0): fc.Arbitrary<unknown> {
  const node = Node.parse(schema);
  const inner = (each: unknown): fc.Arbitrary<unknown> => valuesOf(each, schemas, depth + 1);
  if (node.$ref !== undefined) return inner(schemas[node.$ref.split('/').at(-1) ?? '']);
  if (node.enum !== undefined) return fc.constantFrom(...node.enum);
  if ('const' in node) return fc.constant(node.const);
  const either = node.anyOf ?? node.oneOf;
  if (either !== undefined) return fc.oneof(...either.map(inner));
  if (Array.isArray(node.type)) return fc.oneof(...node.type.map((type) => inner({ ...node, type })));
  switch (node.type) {
    case 'string':
      return texts(node);
    case 'integer':
      return fc.integer({ min: Math.max(node.minimum ?? -5, -1e9), max: Math.min(node.maximum ?? 500, 1e9) });
    case 'number':
      return fc.double({ min: node.minimum ?? -1e6, max: node.maximum ?? 1e6, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(inner(node.items ?? {}), { maxLength: depth > 3 ? 0 : MAX_ITEMS });
    case 'object':
      return members(node, inner, depth);
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

function texts({ format, pattern, contentEncoding, minLength, maxLength }: Node): fc.Arbitrary<string> {
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  if (contentEncoding === 'base64') return fc.base64String({ maxLength: 40 });
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  const least = minLength ?? 0;
  return fc.oneof(plausible, fc.string({ minLength: least, maxLength: Math.min(maxLength ?? 30, least + 30) }));
}

function members(node: Node, inner: (each: unknown) => fc.Arbitrary<unknown>, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = node;
  const known = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, inner(each)]));
  if (Object.keys(known).length > 0) return fc.record(known, { requiredKeys: required });
  const names = propertyNames === undefined ? fc.string({ minLength: 1, maxLength: 10 }) : inner(propertyNames);
  return fc.dictionary(names.map(String), inner(additionalProperties ?? {}), { maxKeys: depth > 3 ? 0 : 2 });
}

/** What nobody would send. */
export const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 0, -1, -0, 0.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e21, 1e308, [], {}, [[[[]]]]),
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud800',
    'x\udc00y',
    '\ufeff',
    '\u202e',
    '../../etc/passwd',
    "' OR 1=1 --",
    '%00',
    '${x}',
  ),
  fc.constantFrom(
    'x'.repeat(5_000),
    'é'.repeat(70_000),
    ['x'.repeat(300)],
    { toString: 1 },
    { constructor: 1, length: -1 },
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.jsonValue({ maxDepth: 2 }),
);

type Step = string | number;
const isParent = (value: unknown): value is Record<Step, unknown> => typeof value === 'object' && value !== null;

function pathsOf(value: unknown): readonly (readonly Step[])[] {
  if (!isParent(value)) return [[]];
  const keys: readonly Step[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [[], ...keys.flatMap((key) => pathsOf(value[key]).map((rest) => [key, ...rest]))];
}

function changed(value: unknown, [step, ...rest]: readonly Step[], change: (old: unknown) => unknown): unknown {
  if (step === undefined || !isParent(value)) return change(value);
  const inner = changed(value[step], rest, change);
  if (Array.isArray(value)) return value.with(Number(step), inner);
  return { ...value, [step]: inner };
}

/** One thing in a value that is not as it was: another type, a member that lacks, one too many. */
export function mutated(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(values, fc.nat(), fc.constantFrom('other', 'gone', 'more', 'wrapped'), odd, fc.string({ maxLength: 8 }))
    .map(([value, at, how, other, name]) => {
      const paths = pathsOf(value);
      return changed(value, paths[at % paths.length] ?? [], (old) => {
        if (how === 'gone') return undefined;
        if (how === 'wrapped') return [old];
        if (how === 'more' && isParent(old) && !Array.isArray(old)) return { ...old, [name]: other };
        return other;
      });
    });
}
