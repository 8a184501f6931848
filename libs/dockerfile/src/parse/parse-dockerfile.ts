import { invalid, onLine, unsupported } from '../invalid.ts';
import type { EscapeToken } from '../lex/directives.ts';
import { type LogicalLine, readLogicalLines } from '../lex/logical-lines.ts';
import { trim } from '../lex/space.ts';
import { splitCommand } from '../lex/split-command.ts';
import { defaultLint, lintOfComments, parseLintOptions } from '../lint/lint-options.ts';
import type { Arg, Dockerfile, From, Instruction, Stage } from './ast.ts';
import { deepFreeze } from './freeze.ts';
import { parseInstruction } from './parse-instruction.ts';
import { checkSyntax } from './syntax.ts';

/** Far above what people write; bounds the graph that a file can make. */
const INSTRUCTION_LIMIT = 2000;

/**
 * A Dockerfile's text as frozen nodes.
 * https://docs.docker.com/reference/dockerfile/
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED, with the line
 */
export function parseDockerfile(text: string): Dockerfile {
  const { nodes, failure, ...file } = readDockerfile(text);
  if (failure !== undefined) throw failure.thrown;
  return deepFreeze({ ...file, ...gather(nodes) });
}

export interface ReadNodes extends Pick<Dockerfile, 'escape' | 'lint'> {
  /** up to the first that does not parse */
  readonly nodes: readonly (From | Instruction)[];
  readonly failure: { readonly thrown: unknown } | undefined;
}

/**
 * As much of a Dockerfile as can be read.
 * @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED for what is no sequence of instructions
 */
export function readDockerfile(text: string): ReadNodes {
  if (text.replace(/^\uFEFF/, '') === '') {
    throw invalid('the Dockerfile cannot be empty', {
      line: 1,
      hint: 'a Dockerfile begins with FROM',
    });
  }
  const { escape, directives, lines } = readLogicalLines(text);
  const check = directives.find(({ name }) => name === 'check');
  const syntax = directives.find(({ name }) => name === 'syntax');
  if (syntax !== undefined) checkSyntax(syntax.value, syntax.line);
  const lint =
    check === undefined ? defaultLint : onLine(check.line, () => parseLintOptions(check.value.split(' ')[0] ?? ''));
  if (lines.length === 0)
    throw invalid('file with no instructions', { line: 1, hint: 'a Dockerfile begins with FROM' });
  if (lines.length > INSTRUCTION_LIMIT) {
    throw unsupported(`a Dockerfile of ${lines.length} instructions`, {
      hint: `at most ${INSTRUCTION_LIMIT} may stand`,
    });
  }
  const nodes: (From | Instruction)[] = [];
  for (const line of lines) {
    try {
      nodes.push(onLine(line.line, () => parseLine(line, escape)));
    } catch (thrown) {
      return { escape, lint, nodes, failure: { thrown } };
    }
  }
  return { escape, lint, nodes, failure: undefined };
}

function parseLine(logical: LogicalLine, escape: EscapeToken): From | Instruction {
  const { text, line, endLine, heredocs, comments, emptyContinuation } = logical;
  const command = splitCommand(text, escape);
  const lint = lintOfComments(comments);
  const { keyword } = command;
  return parseInstruction({
    ...command,
    escape,
    heredocs,
    source: text,
    located: { text: trim(text), keyword, line, endLine, lint, comments, emptyContinuation },
  });
}

/**
 * One instruction that stands alone: an ONBUILD trigger of a base image.
 * @param line that it is reported at
 */
export function parseTrigger(text: string, line: number): Instruction {
  const { escape, lines } = readLogicalLines(text);
  const [logical, ...more] = lines;
  if (logical === undefined || more.length > 0)
    throw invalid('onbuild trigger should be a single expression', {
      line,
      hint: 'each ONBUILD holds one instruction',
    });
  const node = onLine(line, () => parseLine({ ...logical, line, endLine: line }, escape));
  if (node.kind === 'from')
    throw invalid("FROM isn't allowed as an ONBUILD trigger", {
      line,
      hint: 'put it in the Dockerfile that stands on the image',
    });
  return deepFreeze(node);
}

function gather(nodes: readonly (From | Instruction)[]): Pick<Dockerfile, 'globalArgs' | 'stages'> {
  const globalArgs: Arg[] = [];
  const stages: { readonly from: From; readonly instructions: Instruction[] }[] = [];
  for (const node of nodes) {
    const stage = stages.at(-1);
    if (node.kind === 'from') stages.push({ from: node, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(node);
    else if (node.kind === 'arg') globalArgs.push(node);
    else {
      throw invalid(`no build stage in current context: ${node.keyword} comes before the first FROM`, {
        line: node.line,
        hint: 'only ARG may stand before FROM',
      });
    }
  }
  if (stages.length === 0)
    throw invalid('dockerfile contains no stages to build', {
      line: nodes.at(-1)?.endLine,
      hint: 'a Dockerfile needs a FROM',
    });
  return { globalArgs, stages: stages satisfies readonly Stage[] };
}
