import { bakeError } from './position.ts';
import { readConfig } from './config.ts';
import { Definitions } from './definitions.ts';
import { evaluate } from './hcl/evaluate.ts';
import { toText } from './hcl/convert.ts';
import type { Body } from './hcl/expression.ts';
import { parseHcl } from './hcl/parse-body.ts';
import { typeText } from './hcl/type-constraint.ts';
import type { Value } from './hcl/value.ts';
import { jsonText } from './functions/json-text.ts';
import type { Machine } from './functions/stdlib.ts';
import { parseJson } from './json-body.ts';
import { own } from './own.ts';
import { readOverrides } from './overrides.ts';
import { type Resolved, resolveTargets } from './resolve.ts';
import type { Config } from './target.ts';
import { isComposeFile, readCompose } from './compose/read-compose.ts';

/** A file as it was read, by the name that it was given. */
export interface BakeFile {
  readonly name: string;
  readonly text: string;
}

export interface BakeInput {
  /** in the order in which they count */
  readonly files: readonly BakeFile[];
  /** as in `--var` */
  readonly variables: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** text of the `.env` beside compose files */
  readonly dotEnv?: string | undefined;
  /** a file that a compose file names, such as env_file; undefined for one that is not there */
  readonly readFile?: ((path: string) => string | undefined) | undefined;
  /** BAKE_CMD_CONTEXT, BAKE_LOCAL_PLATFORM */
  readonly builtins: Readonly<Record<string, string>>;
  readonly machine: Machine;
}

export interface Asked {
  /** names and patterns of targets and groups */
  readonly targets: readonly string[];
  /** as in `--set` */
  readonly overrides: readonly string[];
}

export interface ListedVariable {
  readonly name: string;
  readonly description?: string;
  readonly type?: string;
  readonly value?: string;
}

/** What is looked for where no file is named, in this order; all that are there count. */
export const defaultFiles: readonly string[] = [
  'compose.yaml',
  'compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'docker-bake.json',
  'docker-bake.hcl',
  'docker-bake.override.json',
  'docker-bake.override.hcl',
];

/** Bake files that make sense. */
export class Bakery {
  readonly config: Config;
  readonly notes: readonly string[];
  readonly #definitions: Definitions;
  readonly #lookup: (name: string) => string | undefined;

  /** @throws KilnError INVALID_ARGUMENT with file, line and column */
  constructor(input: BakeInput) {
    const { environment } = input;
    const seesEnvironment = !/^(?:1|t|true)$/i.test(environment['BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP'] ?? '');
    this.#lookup = (name) => own(input.variables, name) ?? (seesEnvironment ? own(environment, name) : undefined);
    const composed = input.files.filter(isComposeFile);
    const compose = readCompose(composed, { ...input, environment: seesEnvironment ? environment : {} });
    const bodies = input.files.filter((file) => !composed.includes(file)).map(parseFile);
    this.#definitions = new Definitions(bodies, { ...input, lookup: this.#lookup });
    this.config = readConfig(this.#definitions, compose);
    this.notes = this.#definitions.notes;
  }

  /** @throws KilnError INVALID_ARGUMENT for a target that there is not, and for what `--set` gets wrong */
  plan({ targets, overrides }: Asked): Resolved {
    const read = readOverrides(overrides, this.config.targets, this.#lookup);
    return resolveTargets(this.config, targets.length === 0 ? ['default'] : targets, read);
  }

  /** By name. */
  variables(): readonly ListedVariable[] {
    const { scope, variables } = this.#definitions;
    return variables
      .map(({ name, type, description }) => {
        const value = scope.variable(name) ?? null;
        const text = description === undefined ? '' : toText(evaluate(description, scope) ?? '');
        return {
          name,
          ...(text === '' ? {} : { description: text }),
          ...(type === undefined ? {} : { type: typeText(type) }),
          ...(value === null ? {} : { value: valueText(value) }),
        };
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const valueText = (value: Value): string => (typeof value === 'object' ? jsonText(value) : toText(value));

function parseFile({ name, text }: BakeFile): Body {
  if (name.endsWith('.json')) return parseJson(text, name);
  if (name.endsWith('.hcl') || !/^\s*\{/.test(text)) return parseHcl(text, name);
  return parseJson(text, name);
}

/** @throws KilnError INVALID_ARGUMENT where there is nothing to read */
export function checkFiles(files: readonly BakeFile[]): void {
  if (files.length > 0) return;
  throw bakeError('there is no bake file', undefined, `name one with -f, or write one of ${defaultFiles.join(', ')}`);
}
