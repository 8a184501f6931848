import { type LogicalLine, readLogicalLines } from '../lex/logical-lines.ts';

/** The instruction at a line of a Dockerfile; undefined where there is none, or the file cannot be taken apart. */
export function instructionAt(text: string, line: number): LogicalLine | undefined {
  try {
    return readLogicalLines(text).lines.find((each) => each.line <= line && line <= each.endLine);
  } catch {
    return undefined;
  }
}
