import { describe, expect, it } from 'vitest';
import { BuildEvent } from '#protocol';
import { findLines, LogModel } from './log-model.ts';

const a = `sha256:${'a'.repeat(64)}`;
const b = `sha256:${'b'.repeat(64)}`;

function modelOf(...events: readonly object[]): LogModel {
  const model = new LogModel();
  events.forEach((event, at) => model.add({ seq: at + 1, event: BuildEvent.parse({ atMs: at, ...event }) }));
  return model;
}
const log = (vertex: string, text: string, stream = 1) => ({ type: 'log', vertex, stream, text });
const texts = ({ lines }: LogModel): readonly string[] => lines.map(({ text }) => text);

describe('a log', () => {
  it('is made of lines, however they were cut', () => {
    expect(texts(modelOf(log(a, 'on'), log(a, 'e\ntw'), log(a, 'o\n')))).toEqual(['one', 'two']);
  });

  it('keeps what two steps write at a time apart', () => {
    const { lines } = modelOf(log(a, 'a1 '), log(b, 'b1\n', 2), log(a, 'a2\n'));
    expect(lines.map(({ vertex, text, kind }) => [vertex, text, kind])).toEqual([
      [b, 'b1', 'error'],
      [a, 'a1 a2', 'out'],
    ]);
  });

  it('shows what was written over as a terminal does', () => {
    expect(texts(modelOf(log(a, '10 %\r50 %\r100 %\n'), log(a, 'dos\r\n')))).toEqual(['100 %', 'dos']);
  });

  it('has the last line without its end once the step has ended', () => {
    const open = modelOf(log(a, 'half'));
    expect(texts(open)).toEqual([]);
    const done = { type: 'vertexDone', vertex: a, outcome: 'run', durationMs: 1 };
    expect(texts(modelOf(log(a, 'half'), done))).toEqual(['half']);
    expect(texts(modelOf(log(a, 'half'), { type: 'cancelled', reason: 'x' }))).toEqual(['half']);
  });

  it('is searched whatever the case', () => {
    const { lines } = modelOf(log(a, 'Error: no\nfine\n\u001b[31mERR\u001b[0mOR\n'));
    expect(findLines(lines, 'error')).toEqual([0, 2]);
    expect(findLines(lines, '')).toEqual([]);
  });
});
