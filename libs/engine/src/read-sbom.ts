import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import type { TreeEntry } from '#content';
import { digestOf } from '#oci';
import { isKilnError, KilnError } from '#std';
import { jsonMembers } from './json-members.ts';
import type { Materialiser } from './materialiser.ts';
import type { TreeRef } from './ref.ts';
import { DESTINATION } from './sbom-scan.ts';

export const SPDX_TYPE = 'https://spdx.dev/Document';
const CORE = 'sbom.spdx.json';
/** As BuildKit has it. */
const MAX_FILE_BYTES = 40 * 1024 * 1024;
const MAX_FILES = 16;
/** A type is short; what is longer is another. */
const MAX_TYPE_BYTES = 256;
const OPEN_BRACE = 0x7b;

/** One scan: what was written under which name. */
export interface Sbom {
  readonly fileName: string;
  /** the document in JSON, byte for byte as the generator wrote it */
  readonly json: Buffer;
}

/**
 * What a generator wrote, that of the result itself first; one is in memory at a time, and as text only: what any process of a
 * project wrote is not to take more of a builder than its size.
 * @throws KilnError STEP_FAILED for what is no statement of an SPDX document, LIMIT_EXCEEDED for more than 40 MiB
 */
export async function* readSbom(
  ref: TreeRef,
  generator: string,
  { workspace, snapshotter }: Materialiser,
): AsyncGenerator<Sbom> {
  const files = [...(await ref.tree()).values()].filter(({ path }) => path !== '').sort(coreFirst);
  const refuse = (why: string): KilnError =>
    new KilnError('STEP_FAILED', `the SBOM generator ${generator} ${why}`, {
      hint: `it is to write statements of in-toto with SPDX documents, ${DESTINATION}/${CORE} among them`,
    });
  if (files[0]?.path !== CORE) throw refuse(`wrote no ${CORE}`);
  if (files.length > MAX_FILES) throw refuse(`wrote ${files.length} files, and ${MAX_FILES} are taken`);
  await using mounted = await workspace.mount(await snapshotter.view(await ref.snapshot()));
  for (const { path: fileName, type, size = 0, digest } of files) {
    if (type !== 'file') throw refuse(`wrote ${fileName}, which is no file`);
    // It becomes the name of a file wherever the result's files go.
    if (/\p{C}/u.test(fileName)) throw refuse('wrote a file whose name has signs in it that nobody can read');
    if (size > MAX_FILE_BYTES)
      throw new KilnError('LIMIT_EXCEEDED', `${fileName} has ${size} bytes: an SBOM may have ${MAX_FILE_BYTES}`, {
        hint: `the SBOM generator ${generator} is to tell less, or of less`,
      });
    await using file = await open(join(mounted.path, fileName), constants.O_RDONLY | constants.O_NOFOLLOW);
    const bytes = await file.readFile();
    if (digestOf(bytes) !== digest) throw new KilnError('INTERNAL', `${fileName} is not what was recorded`);
    const unfit = `wrote ${fileName}, which is no statement of an SPDX document`;
    const json = await documentIn(bytes).catch((thrown: unknown) => {
      throw isKilnError(thrown, 'INVALID_ARGUMENT') ? refuse(`${unfit}: ${thrown.message}`) : thrown;
    });
    if (json === undefined) throw refuse(unfit);
    yield { fileName, json };
  }
}

const coreFirst = ({ path: a }: TreeEntry, { path: b }: TreeEntry): number =>
  Number(b === CORE) - Number(a === CORE) || (a < b ? -1 : 1);

/** @throws KilnError as `jsonMembers` does */
async function documentIn(statement: Buffer): Promise<Buffer | undefined> {
  const members = await jsonMembers(statement, new Set(['predicateType', 'predicate']));
  const [type, predicate] = [members.get('predicateType'), members.get('predicate')];
  const isSpdx = type !== undefined && type.length <= MAX_TYPE_BYTES && JSON.parse(type.toString('utf8')) === SPDX_TYPE;
  return isSpdx && predicate?.[0] === OPEN_BRACE ? predicate : undefined;
}
