import * as oci from '#oci';
import * as protocol from '#protocol';
import { z } from 'zod';

/** A JSON Schema, 2020-12, as OpenAPI 3.1 takes it. */
export const JsonSchema = z.looseObject({});
export type JsonSchema = z.infer<typeof JsonSchema>;
const ObjectSchema = z.looseObject({
  properties: z.record(z.string(), JsonSchema).default({}),
  required: z.array(z.string()).default([]),
});

const PREFIX = '#/components/schemas/';
const references = /"#\/components\/schemas\/([A-Za-z0-9]+)"/g;
type Side = 'input' | 'output';

/** What has a name in the code has it in the document. */
const names: ReadonlyMap<z.ZodType, string> = new Map(
  [...Object.entries(oci), ...Object.entries(protocol)].flatMap(([name, value]) =>
    value instanceof z.ZodType ? [[value, name.replace(/Schema$/, '')] as const] : [],
  ),
);

/** Turns the schemas that validate into those of the document; named ones stand there once. */
export class Components {
  readonly #sides = { input: convert('input'), output: convert('output') };
  /** differ by the side that they are used on: what has a default may be left out, and is always there */
  readonly #twofold = new Set<string>();
  readonly #used = new Map<string, JsonSchema>();

  constructor() {
    const { input, output } = this.#sides;
    const differs = (name: string): boolean =>
      JSON.stringify(input.get(name)) !== JSON.stringify(output.get(name)) ||
      namesIn(JSON.stringify(input.get(name))).some((each) => this.#twofold.has(each));
    for (let known = -1; known < this.#twofold.size; ) {
      known = this.#twofold.size;
      for (const name of input.keys()) if (differs(name)) this.#twofold.add(name);
    }
  }

  /** A reference for what has a name, else the schema itself. */
  schema(schema: z.ZodType, side: Side): JsonSchema {
    const name = names.get(schema);
    return this.#settle(name === undefined ? bare(single(schema, side)) : { $ref: PREFIX + name }, side);
  }

  /** The members of an object's schema, for parameters. */
  members(
    schema: z.ZodType,
  ): readonly { readonly name: string; readonly required: boolean; readonly schema: JsonSchema }[] {
    const { properties, required } = ObjectSchema.parse(single(schema, 'input'));
    return Object.entries(properties).map(([name, member]) => ({
      name,
      required: required.includes(name),
      schema: this.#settle(member, 'input'),
    }));
  }

  /** All that is referred to, by name. */
  all(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#used].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Names of this side, and what they stand for taken along. */
  #settle(schema: JsonSchema, side: Side): JsonSchema {
    const text = JSON.stringify(schema);
    const shown = (name: string): string => (side === 'input' && this.#twofold.has(name) ? `${name}Input` : name);
    for (const name of namesIn(text)) {
      if (this.#used.has(shown(name))) continue;
      this.#used.set(shown(name), {});
      this.#used.set(shown(name), this.#settle(this.#sides[side].get(name) ?? {}, side));
    }
    return JsonSchema.parse(JSON.parse(text.replace(references, (_, name: string) => `"${PREFIX}${shown(name)}"`)));
  }
}

function namesIn(text: string): readonly string[] {
  return [...text.matchAll(references)].flatMap(([, name]) => name ?? []);
}

function convert(side: Side): ReadonlyMap<string, JsonSchema> {
  return new Map(Object.entries(emit(new Map(names), side)).map(([name, schema]) => [name, bare(schema)]));
}

function single(schema: z.ZodType, side: Side): JsonSchema {
  const known = names.get(schema) ?? '0';
  return JsonSchema.parse(emit(new Map([...names, [schema, known]]), side)[known]);
}

function emit(named: ReadonlyMap<z.ZodType, string>, io: Side): Readonly<Record<string, unknown>> {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of named) registry.add(schema, { id });
  return z.toJSONSchema(registry, {
    io,
    unrepresentable: 'any',
    uri: (id) => PREFIX + id,
    override: ({ zodSchema, jsonSchema }) => {
      // Of answers, what a later version adds is no mistake.
      const { def } = zodSchema._zod;
      if (def.type === 'object' && !('catchall' in def && def.catchall !== undefined))
        delete jsonSchema.additionalProperties;
    },
  }).schemas;
}

function bare(schema: unknown): JsonSchema {
  const { $schema: _schema, $id: _id, ...rest } = JsonSchema.parse(schema);
  return rest;
}
