import { invalid } from '../invalid.ts';
import type { Dockerfile, Finding, Located } from '../parse/ast.ts';
import { isSkipped } from '../parse/lint-options.ts';

/** What a person should know about a file that builds: the parser's findings, and those of lowering. */
export class Findings {
  readonly #file: Dockerfile;
  readonly #found: Finding[];
  readonly #seen = new Set<string>();
  readonly #notes: Lines = [];

  constructor(file: Dockerfile) {
    this.#file = file;
    this.#found = [...file.findings];
  }

  /** A rule of BuildKit's linter is broken; at `node`, or at another line. */
  report(rule: string, message: string, node: Pick<Located, 'line' | 'lint'>): void {
    const key = `${rule} ${node.line} ${message}`;
    if (isSkipped(rule, this.#file.lint, node.lint) || this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#found.push({ rule, message, line: node.line });
  }

  /** Something about the build's options. */
  note(message: string): void {
    this.#notes.push({ message, line: 0 });
  }

  /** @throws KilnError DOCKERFILE_INVALID where `# check=error=true` makes findings failures */
  finish(): Readonly<Lines> {
    const found = this.#found.toSorted((a, b) => a.line - b.line);
    const lines = found.map(({ rule, message, line }) => ({ message: `${rule}: ${message}`, line }));
    const [first] = lines;
    if (this.#file.lint.error && first !== undefined) {
      const rules = [...new Set(found.map(({ rule }) => rule))].join(', ');
      throw invalid(`lint violation found for rules: ${rules}`, {
        line: first.line,
        hint: `${first.message}; the directive check=error=true makes this an error`,
      });
    }
    return [...lines, ...this.#notes];
  }
}

type Lines = { readonly message: string; readonly line: number }[];
