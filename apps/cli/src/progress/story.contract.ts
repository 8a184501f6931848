import {
  type BuildEvent,
  type BuildResult,
  type BuildView,
  type HitSource,
  type PlannedVertex,
  StoredRequest,
} from '#protocol';

/** What the specs of all views tell their builds with. */
type Digest = PlannedVertex['vertex'];

/** The digest of vertex `n`. */
export const id = (n: number): Digest => `sha256:${String(n).padStart(64, '0')}` as Digest;

export const config = id(9);

export const build: BuildView = {
  id: '7k3m',
  url: 'http://127.0.0.1:8420/b/7k3m',
  project: 'default',
  scope: 'main',
  state: 'queued',
  attempt: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: null,
  finishedAt: null,
  request: StoredRequest.parse({ tags: ['r/a:b'] }),
  context: { digest: id(8), files: 1, sizeBytes: 1 },
  result: null,
  failure: null,
};

/** Vertices 0, 1, 2… with these names. */
export const plan = (...names: readonly string[]): PlannedVertex[] =>
  names.map((name, n) => ({ vertex: id(n), name, stage: '0', line: n + 1, step: !name.includes('FROM'), inputs: [] }));

export const hit = (savedMs: number): HitSource => ({
  key: 'definition',
  buildId: '7k2x',
  builderId: 'builder-1',
  scope: 'main',
  savedMs,
  savedBytes: 1,
});

export const result = (given: { names: string[]; pushed: number; savedMs: number }): BuildResult => ({
  digest: config,
  configDigest: id(7),
  names: given.names,
  steps: { total: 3, hit: 1, run: 2, joined: 0 },
  bytes: { contextSent: 1, pulled: 0, pushed: given.pushed },
  durationMs: 8500,
  savedMs: given.savedMs,
  outputs: [],
});

export const log = (vertex: number, atMs: number, text: string): BuildEvent => ({
  type: 'log',
  atMs,
  vertex: id(vertex),
  stream: 1,
  text,
});
