import { isSecretName } from '#graph';
import type { Instruction } from '../parse/ast.ts';
import type { PlannedInstruction } from '../lower/stage-plan.ts';
import type { Findings } from './findings.ts';
import { lintRunCommands } from './run-rules.ts';

/** What the instructions of a stage show that is built; triggers of its base among them. */
export function lintStage(planned: readonly PlannedInstruction[], findings: Findings): void {
  const last = new Map<Instruction['kind'], Instruction>();
  for (const { instruction: node } of planned) {
    switch (node.kind) {
      case 'env':
      case 'label':
        if (node.legacy) {
          const message = `"${node.keyword} key=value" should be used instead of legacy "${node.keyword} key value" format`;
          findings.report('LegacyKeyValueFormat', message, node);
        }
        if (node.kind === 'env') for (const { key } of node.pairs) lintSecret('ENV', key, node, findings);
        break;
      case 'arg':
        for (const { name } of node.args) lintSecret('ARG', name, node, findings);
        break;
      case 'cmd':
      case 'entrypoint':
      case 'healthcheck': {
        const { line, endLine } = last.get(node.kind) ?? node;
        if (last.has(node.kind)) {
          const message = `Multiple ${node.keyword} instructions should not be used in the same stage because only the last one will be used`;
          findings.report('MultipleInstructionsDisallowed', message, { line, endLine, lint: node.lint });
        }
        last.set(node.kind, node);
        break;
      }
      default:
    }
  }
  lintRunCommands(
    planned.flatMap(({ instruction, onbuild }) => (onbuild ? [] : [instruction])),
    findings,
  );
}

function lintSecret(instruction: 'ENV' | 'ARG', name: string, node: Instruction, findings: Findings): void {
  if (!isSecretName(name)) return;
  const message = `Do not use ARG or ENV instructions for sensitive data (${instruction} ${JSON.stringify(name)})`;
  findings.report('SecretsUsedInArgOrEnv', message, node);
}
