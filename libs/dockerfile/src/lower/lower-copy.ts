import { posix } from 'node:path';
import type { CopyOp, Edge } from '#graph';
import { invalid, unsupported } from '../invalid.ts';
import type { Copy } from '../parse/ast.ts';
import type { Source } from './stage-plan.ts';
import { expandIn, expandText, type StageLowering } from './stage-lowering.ts';
import { lintIgnored } from '../lint/copy-rules.ts';
import { expandedName } from './vertex-names.ts';

export function lowerCopy(copy: Copy, source: Source | undefined, lowering: StageLowering): void {
  const { state, builder, names, onbuild, file } = lowering;
  const name = copy.kind.toUpperCase();
  const chown = expandIn(lowering, copy, copy.chown);
  const chmod = expandIn(lowering, copy, copy.chmod);
  const sources = copy.sources.map((each) => expandIn(lowering, copy, each));
  const dest = expandIn(lowering, copy, copy.dest);
  for (const each of sources) checkLocal(name, each);
  lintIgnored(copy, sources, lowering);
  const target = destination(dest, state.cwd);
  if (sources.length + copy.inline.length > 1 && !target.endsWith('/')) {
    throw invalid(
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
      { hint: `write ${dest}/` },
    );
  }
  const inline = copy.inline.map(({ name: file, text, expand }) => ({
    name: file,
    text: expand ? expandText(lowering, copy, text) : text,
  }));
  const mode = chmod === '' ? undefined : parseMode(name, chmod);
  const op: CopyOp = {
    kind: 'copy',
    from:
      sources.length === 0
        ? []
        : [{ input: 1, patterns: sources.map(sourcePath), ...(copy.kind === 'add' ? { unpack: true } : {}) }],
    dest: target,
    ...(chown === '' ? {} : { chown }),
    ...(mode === undefined ? {} : { chmod: mode }),
    ...(inline.length === 0 ? {} : { inline }),
  };
  const label = names.label(expandedName(copy, state.env, file.escape), { line: copy.line, onbuild });
  const inputs = sources.length === 0 ? [] : [sourceEdge(source, lowering)];
  state.root = builder.add(op, state.platform, [state.root, ...inputs], label);
  const flags = [...(chown === '' ? [] : [`--chown=${chown}`]), ...(chmod === '' ? [] : [`--chmod=${chmod}`])];
  const documents = inline.map(({ name: file }) => `<<${file}`);
  state.commit(`${[name, ...flags, ...sources, ...documents, dest].join(' ')} # buildkit`, true);
}

function sourceEdge(source: Source | undefined, lowering: StageLowering): Edge {
  return source === undefined ? contextEdge(lowering) : lowering.sourceOf(source);
}

/** One for the whole build, whatever the platform. */
function contextEdge({ builder, options }: StageLowering): Edge {
  return builder.add({ kind: 'local', name: options.contextName ?? 'context' }, options.buildPlatform, [], {
    name: '[internal] load build context',
    stage: '',
    line: 0,
    ignoreCache: false,
  });
}

function checkLocal(name: string, source: string): void {
  const git =
    /^(?:git|ssh):\/\//i.test(source) ||
    /^[\w-]+@[\w.-]+:/.test(source) ||
    /^https?:\/\/[^?#]*\.git(?:[?#].*)?$/i.test(source);
  const url = /^https?:\/\//.test(source);
  if (!git && !url) return;
  const what = git ? 'a git repository' : 'a URL';
  if (name === 'COPY')
    throw invalid(`source can't be ${git ? 'a git ref' : 'a URL'} for COPY`, { hint: `write ADD ${source}` });
  throw unsupported(`ADD of ${what}`, {
    hint: git ? 'clone it in a RUN, or before the build' : 'fetch it in a RUN, or put the file in the context',
  });
}

/** Relative to the root of the source; what lies above the root is the root. */
function sourcePath(source: string): string {
  return posix.join('/', source).replace(/^\/+|\/+$/g, '') || '.';
}

/** Absolute and clean; with a slash at the end where a directory is meant. */
function destination(dest: string, cwd: string): string {
  const directory = dest === '' || /(?:^|\/)\.{0,2}$/.test(dest);
  const path = posix.resolve('/', cwd, dest);
  return directory && path !== '/' ? `${path}/` : path;
}

function parseMode(name: string, text: string): number {
  if (/^[0-7]{1,10}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  if (/^[ugoa]*[-+=][rwxXstugo]*(?:[-+=,][rwxXstugoa]*)*$/.test(text)) {
    throw unsupported(`${name} --chmod=${text}`, { hint: 'write the mode in octal, such as --chmod=755' });
  }
  throw invalid(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`, {
    hint: 'such as --chmod=755',
  });
}
