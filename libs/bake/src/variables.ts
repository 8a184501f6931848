import { csvFields, messageOf } from '#std';
import { bakeError, type Position } from './position.ts';
import { toBoolean, toNumber } from './hcl/convert.ts';
import type { Block, Expression } from './hcl/expression.ts';
import { valueOf } from './functions/json-text.ts';
import { convertTo, readType, type TypeConstraint } from './hcl/type-constraint.ts';
import { type Value, ValueSet } from './hcl/value.ts';
import { readBoolean } from './entries.ts';

export interface Validation {
  readonly condition: Expression;
  readonly message: Expression;
}

/** `variable "NAME" { … }` */
export interface Variable {
  readonly name: string;
  readonly at: Position;
  /** undefined where none is said, and for `null` */
  readonly type: TypeConstraint | undefined;
  readonly fallback: Expression | undefined;
  readonly description: Expression | undefined;
  readonly validations: readonly Validation[];
}

const FIELDS = ['type', 'default', 'description'];

/** @throws KilnError INVALID_ARGUMENT with the place */
export function readVariable({ labels, body, at }: Block): Variable {
  const [name, ...more] = labels;
  if (name === undefined || more.length > 0) throw bakeError('a variable has one name', at, 'variable "NAME" { … }');
  const found = new Map(body.attributes.map((attribute) => [attribute.name, attribute]));
  for (const attribute of body.attributes)
    if (!FIELDS.includes(attribute.name))
      throw bakeError(
        `a variable has no ${attribute.name}`,
        attribute.at,
        'there are type, default, description and validation',
      );
  const type = found.get('type')?.value;
  return {
    name,
    at,
    type: type === undefined || isNull(type) ? undefined : readType(type),
    fallback: found.get('default')?.value,
    description: found.get('description')?.value,
    validations: body.blocks.map(readValidation),
  };
}

const isNull = (expression: Expression): boolean => expression.kind === 'literal' && expression.value === null;

function readValidation({ type, body, at }: Block): Validation {
  if (type !== 'validation') throw bakeError(`a variable has no block ${type}`, at, 'there is validation { … }');
  const value = (name: string): Expression => {
    const found = body.attributes.find((attribute) => attribute.name === name);
    if (found === undefined) throw bakeError(`a validation has no ${name}`, at, 'it needs condition and error_message');
    return found.value;
  };
  return { condition: value('condition'), message: value('error_message') };
}

export interface Override {
  readonly text: string;
  /** the text is JSON: NAME_JSON was set */
  readonly json: boolean;
}

/**
 * What the environment makes of a variable.
 * @param fallback what it is without; undefined where the file says nothing
 * @throws TypeError saying what was expected
 */
export function overridden(variable: Variable, { text, json }: Override, fallback: Value | undefined): Value {
  const { name, type } = variable;
  try {
    if (type !== undefined) return json ? convertTo(valueOf(JSON.parse(text)), type) : typed(text, type);
    if (typeof fallback === 'number') return toNumber(text);
    if (typeof fallback === 'boolean') return readBoolean(text, name);
    if (fallback === undefined || fallback === null || typeof fallback === 'string') return text;
  } catch (thrown) {
    throw new TypeError(`${name} of the environment: ${messageOf(thrown)}`, { cause: thrown });
  }
  throw new TypeError(`${name} of the environment: give the variable a type, such as type = list(string)`);
}

function typed(text: string, type: TypeConstraint): Value {
  switch (type.kind) {
    case 'any':
    case 'string':
      return text;
    case 'number':
      return toNumber(text);
    case 'bool':
      return toBoolean(readBoolean(text, 'it'));
    case 'list':
      return fields(text).map((field) => typed(field, scalar(type.of)));
    case 'set':
      return new ValueSet(fields(text).map((field) => typed(field, scalar(type.of))));
    case 'tuple': {
      const given = fields(text);
      if (given.length !== type.items.length)
        throw new TypeError(`expected ${type.items.length} values, found ${given.length}`);
      return type.items.map((item, at) => typed(given[at] ?? '', scalar(item)));
    }
    case 'map':
      return new Map(
        fields(text).map((field): [string, Value] => {
          const [, key = '', value] = /^([^:]*):(.*)$/s.exec(field) ?? [];
          if (value === undefined) throw new TypeError(`expected key:value, found ${JSON.stringify(field)}`);
          return [key, typed(value, scalar(type.of))];
        }),
      );
    case 'object':
      throw new TypeError('an object is given as JSON, in the variable of the same name with _JSON at its end');
  }
}

const fields = (text: string): readonly string[] => (text === '' ? [] : csvFields(text));

function scalar(type: TypeConstraint): TypeConstraint {
  if (type.kind === 'string' || type.kind === 'number' || type.kind === 'bool') return type;
  throw new TypeError('what is not flat is given as JSON, in the variable of the same name with _JSON at its end');
}
