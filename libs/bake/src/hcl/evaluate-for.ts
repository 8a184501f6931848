import { toBoolean, toText } from './convert.ts';
import type { Expression, ForExpression } from './expression.ts';
import { checked, sizeOf } from './size.ts';
import { type Scope, withVariables } from './scope.ts';
import { elementsOf, entriesOf, typeName, type Value } from './value.ts';

type Evaluate = (expression: Expression, scope: Scope) => Value;

/** A list, or an object where the expression has keys. */
export function evaluateFor(expression: ForExpression, scope: Scope, evaluate: Evaluate): Value {
  const { keyName, valueName, condition, key, value, grouped } = expression;
  const results: Value[] = [];
  const keyed = new Map<string, Value>();
  const groups = new Map<string, Value[]>();
  let size = 0;
  for (const [at, element] of pairsOf(evaluate(expression.of, scope))) {
    const names = new Map<string, Value>([[valueName, element]]);
    if (keyName !== undefined) names.set(keyName, at);
    const inner = withVariables(scope, names);
    if (condition !== undefined && !toBoolean(evaluate(condition, inner))) continue;
    const result = evaluate(value, inner);
    size = checked(size + sizeOf(result));
    if (key === undefined) {
      results.push(result);
      continue;
    }
    const name = toText(evaluate(key, inner));
    if (grouped) {
      const known = groups.get(name);
      if (known === undefined) groups.set(name, [result]);
      else known.push(result);
      continue;
    }
    if (keyed.has(name))
      throw new TypeError(`two values for the key ${JSON.stringify(name)}; add ... after the value to keep both`);
    keyed.set(name, result);
  }
  if (key === undefined) return results;
  return grouped ? groups : keyed;
}

function pairsOf(value: Value): readonly (readonly [Value, Value])[] {
  const elements = elementsOf(value)?.map((element, index) => [index, element] as const);
  const pairs = elements ?? entriesOf(value);
  if (pairs === undefined) throw new TypeError(`for goes over lists and objects, not over ${typeName(value)}`);
  return pairs;
}

/** Of every element; what is no list is one of one element, and null is one of none. */
export function evaluateSplat(
  { of, each }: Extract<Expression, { readonly kind: 'splat' }>,
  scope: Scope,
  evaluate: Evaluate,
): Value {
  const value = evaluate(of, scope);
  const elements = elementsOf(value) ?? (value === null ? [] : [value]);
  return elements.map((element) => evaluate(each, withVariables(scope, new Map([['[*]', element]]))));
}
