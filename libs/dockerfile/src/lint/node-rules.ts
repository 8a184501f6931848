import type { From, Instruction } from '../parse/ast.ts';
import type { Findings } from './findings.ts';
import { lintTypography } from './typography.ts';

/** What one instruction shows by itself. */
export function lintNode(node: From | Instruction, findings: Findings): void {
  if (node.emptyContinuation !== undefined) {
    const line = node.emptyContinuation;
    findings.report('NoEmptyContinuation', 'Empty continuation line', { line, endLine: line, lint: node.lint });
  }
  if (node.kind === 'maintainer') {
    findings.report('MaintainerDeprecated', 'Maintainer instruction is deprecated in favor of using label', node);
  }
  if (node.kind === 'from' && node.as !== undefined) lintName(node, node.as, findings);
  if (node.kind === 'from') lintDescription('FROM', node, node.name === undefined ? [] : [node.name], findings);
  if (node.kind === 'arg')
    lintDescription(
      'ARG',
      node,
      node.args.map(({ name }) => name),
      findings,
    );
  lintTypography(node, findings);
}

function lintName(from: From, as: NonNullable<From['as']>, findings: Findings): void {
  const { keyword } = from;
  if (as.name !== as.name.toLowerCase()) {
    findings.report('StageNameCasing', `Stage name '${as.name}' should be lowercase`, from);
  }
  const lower = keyword === keyword.toLowerCase();
  const consistent = lower || keyword === keyword.toUpperCase();
  if (consistent && as.keyword !== (lower ? as.keyword.toLowerCase() : as.keyword.toUpperCase())) {
    findings.report('FromAsCasing', `'${as.keyword}' and '${keyword}' keywords' casing do not match`, from);
  }
}

/** The last line of a comment that stands directly above is a description, and begins with what it describes. */
function lintDescription(
  instruction: 'FROM' | 'ARG',
  node: From | Instruction,
  names: readonly string[],
  findings: Findings,
): void {
  const [first, ...more] = names;
  const comment = node.comments.at(-1);
  if (first === undefined || comment === undefined || names.includes(comment.split(' ')[0] ?? '')) return;
  const example = more.length > 0 ? '<arg_key>' : first;
  const message = `Comment for ${instruction} should follow the format: \`# ${example} <description>\``;
  findings.report('InvalidDefinitionDescription', message, node);
}
