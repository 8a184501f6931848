import { type CopyOp, type Edge, type VertexLabel, withoutCredentials } from '#graph';
import { invalid } from '../invalid.ts';
import type { Copy } from '../parse/ast.ts';
import { checkLinkedOwner, parseMode } from './copy-flags.ts';
import { copyInputs } from './copy-inputs.ts';
import { destination } from './copy-paths.ts';
import type { Source } from './stage-plan.ts';
import { lintIgnored } from '../lint/copy-rules.ts';
import { expandIn, expandText, type StageLowering } from './stage-lowering.ts';
import { expandedName } from './vertex-names.ts';

/** An instruction's words, with variables replaced. */
interface Words {
  readonly name: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  readonly dest: string;
  readonly chown: string;
  readonly chmod: string;
  readonly inline: NonNullable<CopyOp['inline']>;
}

/** @throws KilnError DOCKERFILE_INVALID, DOCKERFILE_UNSUPPORTED */
export function lowerCopy(copy: Copy, source: Source | undefined, lowering: StageLowering): void {
  const { state, names, onbuild, file } = lowering;
  const words = expandWords(copy, lowering);
  lintIgnored(copy, words.sources, lowering);
  const { from, inputs } = copyInputs(copy, words.sources, source, lowering);
  const op = copyOp(copy, words, { from, cwd: state.cwd });
  const label = names.label(withoutCredentials(expandedName(copy, state.env, file.escape)), {
    line: copy.line,
    onbuild,
  });
  place(copy, { op, inputs, label }, lowering);
  state.commit(written(copy, words), true);
}

function expandWords(copy: Copy, lowering: StageLowering): Words {
  const chown = expandIn(lowering, copy, copy.chown);
  const chmod = expandIn(lowering, copy, copy.chmod);
  const sources = copy.sources.map((each) => expandIn(lowering, copy, each));
  const dest = expandIn(lowering, copy, copy.dest);
  const inline = copy.inline.map(({ name, text, expand }) => ({
    name,
    text: expand ? expandText(lowering, copy, text) : text,
  }));
  return { name: copy.kind === 'copy' ? 'COPY' : 'ADD', sources, dest, chown, chmod, inline };
}

function copyOp(
  copy: Copy,
  { name, sources, dest, chown, chmod, inline }: Words,
  { from, cwd }: { readonly from: CopyOp['from']; readonly cwd: string },
): CopyOp {
  const target = destination(dest, cwd);
  if (sources.length + inline.length > 1 && !target.endsWith('/') && !copy.parents) {
    throw invalid(
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
      { hint: `write ${dest}/` },
    );
  }
  return {
    kind: 'copy',
    from,
    dest: target,
    ...(chown === '' ? {} : { chown }),
    ...(chmod === '' ? {} : { chmod: parseMode(chmod) }),
    ...(copy.parents ? { parents: true } : {}),
    ...(copy.excludes.length === 0 ? {} : { excludes: copy.excludes }),
    ...(inline.length === 0 ? {} : { inline }),
  };
}

interface Placed {
  readonly op: CopyOp;
  /** what is copied from */
  readonly inputs: readonly Edge[];
  readonly label: VertexLabel;
}

/**
 * Onto the stage's tree, or with --link onto the empty tree, whose layer then goes on top of whatever the stage has. As in
 * BuildKit, --chmod makes a linked copy a plain one.
 */
function place(copy: Copy, { op, inputs, label }: Placed, { builder, state }: StageLowering): void {
  if (!copy.link || op.chmod !== undefined) {
    state.root = builder.add(op, state.platform, [state.root, ...inputs], label);
    return;
  }
  checkLinkedOwner(op.chown ?? '');
  const { stage, line } = label;
  const scratch = { name: 'FROM scratch', stage, line, ignoreCache: false };
  const empty = builder.add({ kind: 'scratch' }, state.platform, [], scratch);
  const linked = builder.add(op, state.platform, [empty, ...inputs], label);
  const merged = { ...label, name: label.name.replace(/^\[[^\]]*\] (?:ONBUILD )?/, '$&LINK ') };
  state.root = builder.add({ kind: 'merge' }, state.platform, [state.root, linked], merged);
}

/** As the image's history has it. */
function written(copy: Copy, { name, sources, dest, chown, chmod, inline }: Words): string {
  const flags = [
    ...(copy.parents ? ['--parents'] : []),
    ...(chown === '' ? [] : [`--chown=${chown}`]),
    ...(chmod === '' ? [] : [`--chmod=${chmod}`]),
  ];
  const documents = inline.map(({ name: file }) => `<<${file}`);
  return `${[name, ...flags, ...sources.map(withoutCredentials), ...documents, dest].join(' ')} # buildkit`;
}
