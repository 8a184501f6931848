import { goQuote } from '../go-format.ts';
import type { Dockerfile, Located } from '../parse/ast.ts';
import type { Findings } from './findings.ts';
import { lintNode } from './node-rules.ts';

const reserved = ['scratch', 'context'];

/** What the text of a file shows, whatever is built of it. */
export function lintFile(file: Dockerfile, findings: Findings): void {
  for (const node of file.globalArgs) lintNode(node, findings);
  for (const { from, instructions } of file.stages) {
    lintNode(from, findings);
    for (const node of instructions) lintNode(node, findings);
  }
  lintStageNames(file, findings);
  lintCasing(file, findings);
}

function lintStageNames({ stages }: Dockerfile, findings: Findings): void {
  const names = new Set<string>();
  for (const { from } of stages) {
    const { name } = from;
    if (name === undefined) continue;
    if (reserved.includes(name)) {
      const message = `Stage name should not use the same name as reserved stage ${goQuote(name)}`;
      findings.report('ReservedStageName', message, from);
    }
    if (names.has(name)) {
      const message = `Duplicate stage name ${goQuote(name)}, stage names should be unique`;
      findings.report('DuplicateStageName', message, from);
    }
    names.add(name);
  }
}

/** ARGs before the first stage have no vote, as in BuildKit. */
function lintCasing({ stages }: Dockerfile, findings: Findings): void {
  const nodes = stages.flatMap(({ from, instructions }): readonly Located[] => [from, ...instructions]);
  const lower = nodes.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = nodes.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const [casing, cased] =
    lower > upper
      ? (['lowercase', (text: string) => text.toLowerCase()] as const)
      : (['uppercase', (text: string) => text.toUpperCase()] as const);
  for (const node of nodes) {
    if (node.keyword === cased(node.keyword)) continue;
    const message = `Command '${node.keyword}' should match the case of the command majority (${casing})`;
    findings.report('ConsistentInstructionCasing', message, node);
  }
}
