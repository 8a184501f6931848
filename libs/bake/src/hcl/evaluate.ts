import { isKilnError, KilnError, messageOf, nearest } from '#std';
import { bakeError, type Position } from '../position.ts';
import { toBoolean, toNumber, toText } from './convert.ts';
import type { BinaryOperator, Expression } from './expression.ts';
import { evaluateFor, evaluateSplat } from './evaluate-for.ts';
import type { Scope } from './scope.ts';
import { checked, sizeOf, tooMuch } from './size.ts';
import { convertTo, readType } from './type-constraint.ts';
import { elementsOf, equal, isLazy, isMap, typeName, type Value } from './value.ts';

/** @throws KilnError INVALID_ARGUMENT with the place */
export function evaluate(expression: Expression, scope: Scope): Value {
  scope.budget.step();
  return scope.budget.nested(() => placed(expression.at, () => evaluateKind(expression, scope)));
}

/** What fails without a place fails here. */
export function placed<T>(at: Position, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (isKilnError(thrown) && thrown.line !== undefined) throw thrown;
    // The end of the stack, or of what a list or a text can be.
    if (thrown instanceof RangeError) throw bakeError(tooMuch('nested too deeply, or too large').message, at);
    if (!isKilnError(thrown) && !(thrown instanceof TypeError)) throw thrown;
    throw bakeError(messageOf(thrown), at, isKilnError(thrown) ? thrown.hint : undefined);
  }
}

function evaluateKind(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'template':
      return template(expression.parts, scope);
    case 'variable':
      return variable(expression, scope);
    case 'splatItem':
      return scope.variable('[*]') ?? null;
    case 'attribute':
      return attribute(evaluate(expression.of, scope), expression.name);
    case 'index':
      return index(evaluate(expression.of, scope), evaluate(expression.key, scope));
    case 'splat':
      return scope.budget.made(evaluateSplat(expression, scope, evaluate));
    case 'call':
      return call(expression, scope);
    case 'unary': {
      const operand = evaluate(expression.operand, scope);
      return expression.operator === '!' ? !toBoolean(operand) : -toNumber(operand);
    }
    case 'binary':
      return binary(expression.operator, expression.left, expression.right, scope);
    case 'conditional':
      return evaluate(toBoolean(evaluate(expression.condition, scope)) ? expression.yes : expression.no, scope);
    case 'tuple':
      return scope.budget.made(expression.items.map((item) => evaluate(item, scope)));
    case 'object':
      return scope.budget.made(
        new Map(expression.items.map(({ key, value }) => [keyText(key, scope), evaluate(value, scope)])),
      );
    case 'for':
      return scope.budget.made(evaluateFor(expression, scope, evaluate));
    case 'join': {
      const parts = scope.budget.made(evaluateFor(expression.of, scope, evaluate));
      return (elementsOf(parts) ?? []).map(toText).join('');
    }
  }
}

function template(parts: readonly Expression[], scope: Scope): string {
  let size = 0;
  const texts = parts.map((part) => {
    const text = textOf(part, scope);
    size = checked(size + text.length);
    return text;
  });
  scope.budget.spend(size);
  return texts.join('');
}

function textOf(part: Expression, scope: Scope): string {
  const value = evaluate(part, scope);
  return placed(part.at, () => {
    if (value === null) throw new TypeError('null cannot stand in a string');
    return toText(value);
  });
}

function keyText(key: Expression, scope: Scope): string {
  const value = evaluate(key, scope);
  return placed(key.at, () => toText(value));
}

function variable({ name }: { readonly name: string }, scope: Scope): Value {
  const value = scope.variable(name);
  if (value !== undefined) return value;
  throw new KilnError('INVALID_ARGUMENT', `there is no variable ${name}${meant(name, scope.names.variables())}`, {
    hint: `declare it: variable "${name}" { default = "…" }`,
  });
}

function meant(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined || near === name ? '' : `; did you mean ${near}?`;
}

function attribute(of: Value, name: string): Value {
  const found = isLazy(of) || isMap(of) ? of.get(name) : undefined;
  if (found !== undefined) return found;
  if (isLazy(of) || isMap(of)) throw new TypeError(`there is no attribute ${name}${meant(name, [...of.keys()])}`);
  throw new TypeError(`${typeName(of)} has no attributes: .${name}`);
}

function index(of: Value, key: Value): Value {
  if (isLazy(of) || isMap(of)) return attribute(of, toText(key));
  const elements = elementsOf(of);
  if (elements === undefined) throw new TypeError(`${typeName(of)} has no elements`);
  const at = toNumber(key);
  const found = Number.isInteger(at) && at >= 0 ? elements[at] : undefined;
  if (found === undefined) throw new TypeError(`there is no element ${toText(key)} of ${elements.length}`);
  return found;
}

function binary(operator: BinaryOperator, left: Expression, right: Expression, scope: Scope): Value {
  const first = evaluate(left, scope);
  if (operator === '||' || operator === '&&') {
    const known = toBoolean(first);
    // Both have to make sense, as in HCL.
    const other = toBoolean(evaluate(right, scope));
    return operator === '||' ? known || other : known && other;
  }
  const second = evaluate(right, scope);
  if (operator === '==' || operator === '!=') scope.budget.spend(sizeOf(first) + sizeOf(second));
  if (operator === '==') return equal(first, second);
  if (operator === '!=') return !equal(first, second);
  return arithmetic(operator, toNumber(first), toNumber(second));
}

function arithmetic(operator: BinaryOperator, a: number, b: number): Value {
  if ((operator === '/' || operator === '%') && b === 0) throw new TypeError('division by zero');
  switch (operator) {
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    case '>=':
      return a >= b;
    case '+':
      return finite(a + b);
    case '-':
      return finite(a - b);
    case '*':
      return finite(a * b);
    case '/':
      return finite(a / b);
    case '%':
      return a % b;
    default:
      throw new KilnError('INTERNAL', `no arithmetic: ${operator}`);
  }
}

function finite(number: number): number {
  if (!Number.isFinite(number)) throw new TypeError('the result is too large for a number');
  return number;
}

type Call = Extract<Expression, { readonly kind: 'call' }>;

function call(expression: Call, scope: Scope): Value {
  const { name, args } = expression;
  if (name === 'try' || name === 'can') return attempt(expression, scope);
  if (name === 'convert') {
    const [value, type] = args;
    if (value === undefined || type === undefined) throw new TypeError('convert(value, type) takes two arguments');
    return scope.budget.made(convertTo(evaluate(value, scope), readType(type)));
  }
  const found = scope.function(name);
  if (found === undefined) {
    throw new KilnError('INVALID_ARGUMENT', `there is no function ${name}()${meant(name, scope.names.functions())}`, {
      hint: 'docs/bake.md lists those that there are; function "name" { … } makes one',
    });
  }
  const values = args.map((arg) => evaluate(arg, scope));
  const spread = expression.spread ? (elementsOf(values.pop() ?? null) ?? noList()) : [];
  const all = values.concat(spread);
  for (const each of all) scope.budget.spend(sizeOf(each));
  try {
    return scope.budget.made(found(all));
  } catch (thrown) {
    if (!(thrown instanceof TypeError) && !(thrown instanceof RangeError) && !(thrown instanceof SyntaxError))
      throw thrown;
    throw new TypeError(`${name}(): ${thrown.message}`, { cause: thrown });
  }
}

function noList(): never {
  throw new TypeError('what stands before ... is no list');
}

/** The first of the arguments that makes sense; whether the only one does. */
function attempt({ name, args }: Call, scope: Scope): Value {
  let last: unknown = new TypeError(`${name}() takes an argument`);
  for (const arg of args) {
    try {
      const value = evaluate(arg, scope);
      return name === 'can' ? true : value;
    } catch (thrown) {
      if (!isKilnError(thrown, 'INVALID_ARGUMENT')) throw thrown;
      // Once nothing is left of the budget, that is the end.
      scope.budget.spend(0);
      last = thrown;
    }
  }
  if (name === 'can' && args.length === 1) return false;
  throw last;
}
