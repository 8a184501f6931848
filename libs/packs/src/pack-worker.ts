import { parentPort } from 'node:worker_threads';
import { isKilnError, KilnError, messageOf } from '#std';
import { applyTree, neededPacks } from './apply-tree.ts';
import { mergeTrees } from './merge-trees.ts';
import type { ManifestFile, PackJob, PackJobs, PackReply } from './pack-job.ts';
import { bytesOf, emptyTree, type PackedEntry, type PackedTree } from './packed-tree.ts';
import { scanDirectory } from './scan-directory.ts';
import { readTree, writeTree } from './tree-file.ts';

/** A thread for one job. */
const port = parentPort;
if (port === null) throw new KilnError('INTERNAL', 'this file is a thread');
port.once('message', (job: PackJob) => void work(job).then((reply) => port.postMessage(reply)));

async function work(job: PackJob): Promise<PackReply> {
  try {
    return { ok: true, reply: await run(job) };
  } catch (thrown) {
    const code = isKilnError(thrown) ? thrown.code : 'INTERNAL';
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    return { ok: false, code, message: messageOf(thrown), stack };
  }
}

async function run(given: PackJob): Promise<PackJobs[PackJob['kind']]['reply']> {
  switch (given.kind) {
    case 'scan':
      return scan(given.job);
    case 'merge': {
      const { base, theirs, ours, manifest } = given.job;
      const merged = mergeTrees({
        base: await knownTree(base),
        theirs: await readTree(theirs),
        ours: await readTree(ours),
      });
      return write(merged, manifest);
    }
    case 'plan': {
      const to = await readTree(given.job.to);
      const needed = neededPacks(await tree(given.job.from), to);
      return [...to.packs.values()].filter(({ digest }) => needed.has(digest));
    }
    case 'apply': {
      const { dir, shift, packs, index } = given.job;
      const from = await tree(given.job.from);
      await writeTree(await applyTree({ dir, shift, packs, from, to: await readTree(given.job.to) }), index);
      return null;
    }
  }
}

async function scan(job: PackJobs['scan']['job']): Promise<PackJobs['scan']['reply']> {
  const { skip, lost, known, index, manifest } = job;
  const scanned = await scanDirectory({
    ...job,
    skip: skip === undefined ? undefined : new RegExp(skip),
    lost: new Set(lost),
    known: await knownTree(known),
  });
  if ('tooLarge' in scanned) return scanned;
  await writeTree(scanned.tree, index);
  const { changed, newPacks } = scanned;
  const names = [...scanned.tree.entries.keys()].filter((path) => path !== '' && !path.includes('/'));
  return { ...(await write(scanned.tree, manifest)), changed, newPacks, names };
}

const tree = async (file: string | undefined): Promise<PackedTree> => (file === undefined ? emptyTree : readTree(file));

/** An index only saves work: without it, or when it is damaged, nothing is known. */
async function knownTree(index: string): Promise<PackedTree> {
  try {
    return await readTree(index);
  } catch (thrown) {
    if (isKilnError(thrown, 'BLOB_CORRUPT')) return emptyTree;
    throw thrown;
  }
}

async function write({ packs, entries }: PackedTree, file: string): Promise<ManifestFile> {
  const plain = new Map<string, PackedEntry>();
  for (const entry of entries.values()) plain.set(entry.path, { ...entry, seen: undefined });
  const written = await writeTree({ packs, entries: plain }, file);
  return { ...written, packs: [...packs.values()], bytes: bytesOf({ packs, entries }), entries: entries.size };
}
