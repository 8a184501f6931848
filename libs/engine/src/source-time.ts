import { treeOf } from '#context';
import { parseGitUrl, type TimedSource, withoutCredentials } from '#graph';
import { unpackArchive } from './fetched-archive.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { Sources } from './sources.ts';

export interface Timing {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly sources: Sources;
  readonly signal: AbortSignal;
}

/**
 * When a source was made: a commit's time, a file's Last-Modified, else that of the newest file in the archive that it is.
 * Undefined where nobody says, and for what a client sent.
 */
export async function sourceTime(source: TimedSource, timing: Timing): Promise<number | undefined> {
  const { node, job, sources, signal } = timing;
  switch (source.kind) {
    case 'context': {
      const main = job.request.contexts['context'];
      const git = main?.type === 'git' ? parseGitUrl(main.url) : undefined;
      if (git !== undefined) return await sourceTime({ kind: 'git', source: git }, timing);
      if (main?.type !== 'http') return undefined;
      return await sourceTime({ kind: 'file', query: { url: main.url, checksum: undefined } }, timing);
    }
    case 'git': {
      const { remote, subdir } = source.source;
      const answer = await sources.repository(source.source, signal);
      // Submodules have times of their own.
      const files = await sources.gitTree({
        ...answer,
        remote: withoutCredentials(remote),
        subdir,
        keepGitDir: false,
        submodules: false,
      });
      return files.entries[0]?.mtime;
    }
    case 'file': {
      const file = await sources.files.get(source.query, signal);
      if (file.mtime > 0) return file.mtime;
      const { digest } = file;
      const archive = await unpackArchive({ url: source.query.url, digest }, { node, trees: sources.trees, signal });
      const times = archive === undefined ? [] : [...treeOf(archive).values()];
      const newest = times.reduce((most, { type, mtime }) => (type === 'file' ? Math.max(most, mtime) : most), 0);
      return newest > 0 ? Math.floor(newest) : undefined;
    }
  }
}
