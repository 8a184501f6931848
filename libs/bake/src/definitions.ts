import { KilnError, nearest } from '#std';
import { bakeError, type Position } from './position.ts';
import { checkField, structuredValue } from './decode-target.ts';
import { stdlib, type Machine } from './functions/stdlib.ts';
import { evaluate, placed } from './hcl/evaluate.ts';
import type { Attribute, Block, Body } from './hcl/expression.ts';
import { Budget, type HclFunction, type Scope } from './hcl/scope.ts';
import { convertTo } from './hcl/type-constraint.ts';
import type { LazyObject, Value } from './hcl/value.ts';
import { toBoolean, toText } from './hcl/convert.ts';
import { own } from './own.ts';
import { type Override, overridden, readVariable, type Variable } from './variables.ts';
import { type Instance, instancesOf } from './instances.ts';
import { readFunction, type FunctionDefinition } from './user-function.ts';

export interface Surroundings {
  readonly machine: Machine;
  /** built-in variables: they win over all others */
  readonly builtins: Readonly<Record<string, string>>;
  /** what stands for a variable: --var, the environment */
  readonly lookup: (name: string) => string | undefined;
}

const TYPES = ['target', 'group', 'variable', 'function'];

/** What HCL and JSON files define together; each value is found when it is asked for. */
export class Definitions {
  readonly #around: Surroundings;
  readonly #variables = new Map<string, Variable>();
  readonly #globals = new Map<string, Attribute>();
  readonly #functions = new Map<string, FunctionDefinition>();
  readonly #builtinFunctions: ReadonlyMap<string, HclFunction>;
  readonly #blocks: readonly Block[];
  readonly #values = new Map<string, Value>();
  readonly #busy = new Set<string>();
  readonly #running = new Set<string>();
  #instances: readonly Instance[] | undefined;
  /** what was not understood and does no harm */
  readonly notes: readonly string[];
  readonly scope: Scope;

  constructor(bodies: readonly Body[], around: Surroundings) {
    this.#around = around;
    this.#builtinFunctions = new Map(Object.entries(stdlib(around.machine)));
    const blocks = bodies.flatMap((body) => body.blocks);
    this.#blocks = blocks.filter(({ type }) => type === 'target' || type === 'group');
    for (const block of blocks) this.#define(block);
    for (const attribute of bodies.flatMap((body) => body.attributes)) this.#globals.set(attribute.name, attribute);
    this.notes = blocks.filter(({ type }) => !TYPES.includes(type)).map(strange);
    this.scope = {
      variable: (name) => this.#variable(name),
      function: (name) => this.#builtinFunctions.get(name) ?? this.#own(name),
      names: {
        variables: () => [...Object.keys(around.builtins), ...this.#variables.keys(), ...this.#globals.keys()],
        functions: () => [...this.#builtinFunctions.keys(), ...this.#functions.keys()],
      },
      budget: new Budget(),
    };
  }

  #define(block: Block): void {
    if (block.type === 'variable') {
      const variable = readVariable(block);
      this.#variables.set(variable.name, variable);
    } else if (block.type === 'function') {
      const definition = readFunction(block);
      this.#functions.set(definition.name, definition);
    }
  }

  /** Targets in the order of the files, one for each combination of a matrix. @throws KilnError INVALID_ARGUMENT */
  get instances(): readonly Instance[] {
    if (this.#instances !== undefined) return this.#instances;
    return (this.#instances = this.#once('target', () =>
      this.#blocks.filter(({ type }) => type === 'target').flatMap((block) => instancesOf(block, this.scope)),
    ));
  }

  get groups(): readonly Block[] {
    return this.#blocks.filter(({ type }) => type === 'group');
  }

  get variables(): readonly Variable[] {
    return [...this.#variables.values()];
  }

  /** Looks at everything, used or not. @throws KilnError INVALID_ARGUMENT for what makes no sense */
  check(): void {
    for (const { name, at } of this.#variables.values()) placed(at, () => this.#variable(name));
    for (const { name, at } of this.#globals.values()) placed(at, () => this.#variable(name));
    for (const variable of this.#variables.values()) this.#validate(variable);
  }

  #validate({ validations }: Variable): void {
    for (const { condition, message } of validations) {
      const holds = evaluate(condition, this.scope);
      if (placed(condition.at, () => toBoolean(holds))) continue;
      const text = evaluate(message, this.scope);
      throw bakeError(
        text === null ? 'this validation failed' : toText(text),
        condition.at,
        'a validation of the file says so',
      );
    }
  }

  /** One attribute of a target, as its block has it; undefined where it says nothing. */
  attribute({ block, name, scope }: Instance, field: string): Value | undefined {
    const attribute = block.body.attributes.find((each) => each.name === field);
    if (attribute === undefined) return undefined;
    const key = `target.${name}.${field} ${block.at.file}:${block.at.line}:${block.at.column}`;
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const value = this.#once(`target.${name}.${field}`, () => evaluate(attribute.value, scope));
    this.#values.set(key, value);
    return value;
  }

  #variable(name: string): Value | undefined {
    if (name === 'target') return this.#targets();
    if (name === 'group') return this.#groupValues();
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = this.#resolve(name);
    if (value !== undefined) this.#values.set(name, value);
    return value;
  }

  #resolve(name: string): Value | undefined {
    const builtin = own(this.#around.builtins, name);
    if (builtin !== undefined) return builtin;
    const global = this.#globals.get(name);
    const variable = this.#variables.get(name);
    if (global === undefined && variable === undefined) return undefined;
    return this.#once(name, () => {
      const own = global === undefined ? variable?.fallback : global.value;
      let value = own === undefined ? undefined : evaluate(own, this.scope);
      if (variable === undefined) return value ?? null;
      const { type, at } = variable;
      if (type !== undefined && global === undefined && value !== undefined) {
        const given = value;
        value = placed(own?.at ?? at, () => convertTo(given, type));
      }
      const override = this.#override(variable);
      if (override !== undefined) return placed(at, () => overridden(variable, override, value));
      // A default that is null is one.
      return value === undefined && type === undefined ? '' : (value ?? null);
    });
  }

  /** NAME, or NAME_JSON: the latter first where the variable has a type. */
  #override({ name, type }: Variable): Override | undefined {
    const plain = this.#around.lookup(name);
    const jsonName = `${name}_JSON`;
    const free = !this.#variables.has(jsonName) && this.#around.builtins[jsonName] === undefined;
    const json = free && (plain === undefined || type !== undefined) ? this.#around.lookup(jsonName) : undefined;
    if (json !== undefined) return { text: json, json: true };
    return plain === undefined ? undefined : { text: plain, json: false };
  }

  #once<T>(what: string, work: () => T): T {
    if (this.#busy.has(what))
      throw new KilnError('INVALID_ARGUMENT', `${what} needs itself`, { hint: 'such a circle has no value' });
    this.#busy.add(what);
    try {
      return work();
    } finally {
      this.#busy.delete(what);
    }
  }

  #own(name: string): HclFunction | undefined {
    const definition = this.#functions.get(name);
    if (definition === undefined) return undefined;
    return (args) => {
      if (this.#running.has(name)) throw new TypeError('a function cannot call itself');
      this.#running.add(name);
      try {
        return definition.call(args, this.scope);
      } finally {
        this.#running.delete(name);
      }
    };
  }

  #targets(): LazyObject {
    return {
      lazy: true,
      keys: () => this.instances.map(({ name }) => name),
      get: (name) => {
        const found = this.instances.filter((instance) => instance.name === name);
        return found.length === 0 ? undefined : this.#attributes(found);
      },
    };
  }

  /** What a target does not say is null. */
  #attributes(instances: readonly Instance[]): LazyObject {
    return {
      lazy: true,
      keys: () => instances.flatMap(({ block }) => block.body.attributes.map(({ name }) => name)),
      get: (field) => {
        if (field === 'name') return instances[0]?.name;
        checkField(field);
        return structuredValue(
          field,
          instances.reduce<Value>((value, instance) => this.attribute(instance, field) ?? value, null),
        );
      },
    };
  }

  #groupValues(): LazyObject {
    return {
      lazy: true,
      keys: () => this.groups.map(({ labels }) => labels[0] ?? ''),
      get: (name) => {
        const block = this.groups.findLast(({ labels }) => labels[0] === name);
        if (block === undefined) return undefined;
        return new Map(block.body.attributes.map((each) => [each.name, evaluate(each.value, this.scope)]));
      },
    };
  }
}

function strange({ type, at }: { readonly type: string; readonly at: Position }): string {
  const near = nearest(type, TYPES);
  const where = `${at.file}:${at.line}:${at.column}`;
  return `${where}: ${type} is no block of a bake file and has no effect${near === undefined ? '' : `; did you mean ${near}?`}`;
}
