import type { Tree } from '#content';
import { type ContextManifest, treeOf } from '#context';
import {
  type FileQuery,
  type GitOp,
  type GitSource,
  type HttpOp,
  type RefAnswer,
  type ResolvedImage,
  type SourceResolver,
  type TimedSource,
  type Vertex,
  withoutCredentials,
} from '#graph';
import type { Digest, Platform } from '#oci';
import type { GitAccess } from '#remote';
import { KilnError, once } from '#std';
import { FetchedFiles, type FetchedFilesOptions } from './fetched-files.ts';
import { FetchedTrees } from './fetched-trees.ts';
import type { Images } from './images.ts';
import { gitAccess } from './git-access.ts';
import { layoutImage, OF_NO_REGISTRY } from './layout-image.ts';
import { pinnedTree, pinTree, type SourcePin } from './part-pins.ts';
import type { LocalRef } from './ref.ts';
import type { SentContent } from './sent-content.ts';
import { sourceTime } from './source-time.ts';

export interface SourcesOptions extends FetchedFilesOptions {
  readonly images: Images;
  readonly sent: Pick<SentContent, 'bring'>;
  /** named contexts that came with the request, as they came */
  readonly contexts: ReadonlyMap<string, ContextManifest>;
}

/** Everything that one build takes from outside: images, layouts, files of the web, git repositories. */
export class Sources implements SourceResolver {
  readonly files: FetchedFiles;
  readonly trees: FetchedTrees;
  readonly #options: SourcesOptions;
  readonly #access: GitAccess;
  /** remotes with their credentials, by what is shown of them */
  readonly #remotes = new Map<string, string>();
  readonly #answers = new Map<string, Promise<RefAnswer>>();
  readonly #repositories = new Map<string, () => Promise<LocalRef>>();

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.files = new FetchedFiles(options);
    const { node, job } = options;
    this.#access = gitAccess(job.session, node.materialiser.workspace);
    this.trees = new FetchedTrees({ content: node.content, memory: job.sources, grants: job.grants });
  }

  resolve(reference: string, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    return this.#options.images.resolve(reference, platform, signal);
  }

  async layout(context: string, digest: Digest, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    const { contexts, node, job, images, sent } = this.#options;
    const manifest = contexts.get(context);
    if (manifest === undefined)
      throw new KilnError('IMAGE_NOT_FOUND', `the context ${context} did not come with the build`);
    const found = await layoutImage(
      { context, digest, platform, tree: treeOf(manifest), content: node.content, sent },
      signal ?? job.signal,
    );
    images.adopt({ image: found, reference: undefined });
    const reference = `${OF_NO_REGISTRY}${context.toLowerCase()}`;
    return { reference, digest: found.digest, config: found.config };
  }

  async file(query: FileQuery, signal?: AbortSignal): Promise<Digest> {
    return (await this.files.get(query, signal ?? this.#options.job.signal)).digest;
  }

  async repository({ remote, ref, checksum }: GitSource, signal?: AbortSignal): Promise<RefAnswer> {
    const { node, job } = this.#options;
    this.#remotes.set(withoutCredentials(remote), remote);
    const key = JSON.stringify([remote, ref, checksum]);
    // One build sees one commit of a branch, however often it names it.
    const answer =
      this.#answers.get(key) ?? node.git.resolve({ remote, ref, checksum }, this.#access, signal ?? job.signal);
    this.#answers.set(key, answer);
    return await answer;
  }

  async time(source: TimedSource, signal = this.#options.job.signal): Promise<number | undefined> {
    const { node, job } = this.#options;
    return await sourceTime(source, { node, job, sources: this, signal });
  }

  httpRef(op: HttpOp): LocalRef {
    return localOf(this.files.tree(op));
  }

  /** The files of a commit; fetched when first asked for. */
  gitRef(op: GitOp): Promise<LocalRef> {
    const key = JSON.stringify(op);
    let made = this.#repositories.get(key);
    if (made === undefined) {
      made = once(async () => localOf(treeOf(await this.gitTree(op))));
      this.#repositories.set(key, made);
    }
    return made();
  }

  /** What a source was found to be, for a part of this build; undefined for what needs no telling. */
  async pin({ op }: Vertex): Promise<SourcePin | undefined> {
    const { images, node, job } = this.#options;
    if (op.kind === 'image') {
      const { reference, image } = images.known(op.digest);
      return { kind: op.kind, ...(reference === undefined ? {} : { reference }), ...image };
    }
    if (op.kind === 'http') {
      const { digest, sizeBytes, mtime } = this.files.known(op);
      return { kind: op.kind, digest, sizeBytes, mtime };
    }
    if (op.kind !== 'git') return undefined;
    const { tree } = await this.gitRef(op);
    return { kind: op.kind, tree: await pinTree(tree, node.content, job.signal) };
  }

  /** Takes a source for what the build has found it to be that this is a part of. */
  adopt({ op }: Vertex, pin: SourcePin): void {
    const { images, node, job } = this.#options;
    if (pin.kind === 'image') {
      const { reference, digest, manifest, config, standIn } = pin;
      images.adopt({ reference, image: { digest, manifest, config, standIn } });
    } else if (pin.kind === 'http' && op.kind === 'http') {
      this.files.adopt(op, pin);
    } else if (pin.kind === 'git' && op.kind === 'git') {
      const read = async () => localOf(treeOf(await pinnedTree(pin.tree, node.content, job.signal)));
      this.#repositories.set(JSON.stringify(op), once(read));
    }
  }

  /** What was lost of files that no step made is fetched anew. */
  async renew(lost: ReadonlySet<Digest>, signal: AbortSignal): Promise<void> {
    this.#repositories.clear();
    await this.files.renew(lost, signal);
  }

  async gitTree(op: Omit<GitOp, 'kind'>): Promise<ContextManifest> {
    const { node, job } = this.#options;
    const { commit, subdir, submodules, keepGitDir, ref } = op;
    const remote = this.#remotes.get(op.remote) ?? op.remote;
    // The same commit is the same tree wherever it is; submodules and .git say where they are from.
    const origin = keepGitDir || submodules ? { remote: op.remote } : {};
    const what = { kind: 'git', commit, subdir, submodules, ...(keepGitDir ? { keepGitDir, ref } : {}), ...origin };
    return await this.trees.get(
      what,
      () => node.git.fetch({ remote, ref, commit, subdir, keepGitDir, submodules }, this.#access, job.signal),
      job.signal,
    );
  }
}

function localOf(tree: Tree): LocalRef {
  return { kind: 'local', tree, unfiltered: tree };
}
