import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { digestOf } from '#oci';
import { ContainerOutput } from './container-output.ts';

const root = digestOf('root');
const main = digestOf('main');

describe('the output of a container', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function shown(quiet = false) {
    let [out, err] = ['', ''];
    const output = new ContainerOutput({ stdout: (text) => (out += text), stderr: (text) => (err += text), quiet });
    const planned = { step: false, stage: '', line: 0, inputs: [] };
    const vertices = [
      { ...planned, vertex: root, name: 'FROM app' },
      { ...planned, vertex: main, name: 'RUN x' },
    ];
    return { output, plan: () => output.show({ type: 'planned', atMs: 0, vertices }), seen: () => [out, err] };
  }

  it('is handed on as it is, and nothing is added while all is quick', () => {
    const { output, plan, seen } = shown();
    output.show({ type: 'started', atMs: 0, builderId: 'b', attempt: 1 });
    plan();
    output.show({ type: 'vertexStarted', atMs: 0, vertex: main });
    output.show({ type: 'log', atMs: 0, vertex: main, stream: 1, text: 'a\r\u001b[1mb' });
    output.show({ type: 'log', atMs: 0, vertex: main, stream: 2, text: 'c' });
    vi.advanceTimersByTime(60_000);
    expect(seen()).toEqual(['a\r\u001b[1mb', 'c']);
  });

  it('has what it waits for beside it once that is long', () => {
    const { output, plan, seen } = shown();
    vi.advanceTimersByTime(1_000);
    output.show({ type: 'started', atMs: 0, builderId: 'b', attempt: 1 });
    plan();
    const progress = { type: 'progress', atMs: 0, id: 'p', name: 'pulling app', unit: 'bytes', done: false } as const;
    output.show({ ...progress, current: 0, total: 1_000_000 });
    output.show({ ...progress, current: 10, total: 1_000_000 });
    expect(seen()[1]).toMatch(/^kiln: waiting for a builder\nkiln: preparing the image\nkiln: pulling app, .*MB\n$/);
    const { output: still, seen: nothing } = shown(true);
    vi.advanceTimersByTime(1_000);
    still.note('x');
    expect(nothing()).toEqual(['', '']);
  });

  it('says so when it begins again', () => {
    const { output, seen } = shown();
    output.show({ type: 'log', atMs: 0, vertex: main, stream: 1, text: 'half' });
    output.show({ type: 'started', atMs: 0, builderId: 'b', attempt: 2 });
    expect(seen()).toEqual(['half', expect.stringContaining('its builder was lost') as string]);
    output.close();
  });
});
