import type { Warning } from '#graph';
import { invalid } from '../invalid.ts';
import type { Located } from '../parse/ast.ts';
import { isActive, type LintOptions } from './lint-options.ts';
import { type RuleName, ruleOf } from './rules.ts';

/** A finding about a file that builds nevertheless. */
export interface Finding {
  readonly rule: RuleName;
  readonly message: string;
  /** first and last line, from 1 */
  readonly line: number;
  readonly endLine: number;
}

/** Where a finding is: a node, or some lines of one. */
export type Place = Pick<Located, 'line' | 'endLine' | 'lint'>;

/** A file of any size makes no report of any size. */
const LIMIT = 1000;
/** So many are named in the failure that `error=true` makes of them. */
const NAMED = 10;

/** What a person should know about a file that builds. */
export class Findings {
  readonly #lint: LintOptions;
  readonly #found: Finding[] = [];
  readonly #seen = new Set<string>();
  readonly #notes: string[] = [];

  /** @param lint what holds for the whole file */
  constructor(lint: LintOptions) {
    this.#lint = lint;
  }

  /** A rule is broken at `place`. */
  report(rule: RuleName, message: string, { line, endLine, lint }: Place): void {
    const key = `${rule} ${line} ${message}`;
    if (!isActive(rule, this.#lint, lint) || this.#seen.has(key) || this.#found.length === LIMIT) return;
    this.#seen.add(key);
    this.#found.push({ rule, message, line, endLine });
  }

  /** Something about the build's options. */
  note(message: string): void {
    this.#notes.push(message);
  }

  /** In the order of the file. */
  list(): readonly Finding[] {
    return this.#found.toSorted((a, b) => a.line - b.line);
  }

  notes(): readonly string[] {
    return this.#notes;
  }

  warnings(): readonly Warning[] {
    const found = this.list().map(({ rule, message, line, endLine }) => {
      const { url } = ruleOf(rule);
      return { message: `${rule}: ${message}`, line, endLine, rule, ...(url === undefined ? {} : { url }) };
    });
    return [...found, ...this.#notes.map((message) => ({ message, line: 0 }))];
  }

  /** @throws KilnError DOCKERFILE_INVALID where `check=error=true` makes findings failures */
  enforce(): void {
    const found = this.list();
    const [first] = found;
    if (!this.#lint.error || first === undefined) return;
    const names = [...new Set(found.map(({ rule }) => rule))].join(', ');
    const listed = found.slice(0, NAMED).map(({ rule, message, line }) => `line ${line}: ${rule}: ${message}`);
    if (found.length > NAMED) listed.push(`and ${found.length - NAMED} more`);
    throw invalid(`lint violation found for rules: ${names} (${listed.join('; ')})`, {
      line: first.line,
      hint: 'check=error=true makes this an error; mend it, or write # check=skip=RULE above an instruction that is right as it is',
    });
  }
}
