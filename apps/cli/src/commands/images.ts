import { familiarName, splitName } from '#client';
import type { ImageEntry, ImageView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { agoText, size } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { allPages } from './all-pages.ts';
import { table } from './builds.ts';

interface Common {
  readonly json?: boolean;
  readonly data?: string;
}
export interface ImagesFlags extends Common {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly digests?: boolean;
  /** commander's for --no-trunc */
  readonly trunc: boolean;
  readonly limit: string;
}
export interface HistoryFlags extends Common {
  readonly quiet?: boolean;
  readonly trunc: boolean;
}
export interface RemoveFlags extends Common {
  readonly force?: boolean;
}

/** `kiln images`: newest first, as docker lists them. */
export async function images(name: string | undefined, flags: ImagesFlags): Promise<void> {
  if (!/^[1-9]\d{0,4}$/.test(flags.limit)) throw usageError(`--limit is no number: ${JSON.stringify(flags.limit)}`);
  await using client = await connect(readConfig(process.env, flags.data));
  const all = flags.all === true;
  const found = await allPages(async (page) => {
    const { images: items, next } = await client.images.list({ ...page, name, all });
    return { items, next };
  }, Number(flags.limit));
  if (flags.json === true) return void process.stdout.write(`${JSON.stringify({ images: found }, null, 2)}\n`);
  const rows = found.flatMap((image) => rowsOf(image, flags));
  if (flags.quiet === true) return void process.stdout.write([...new Set(rows.map(({ id }) => `${id}\n`))].join(''));
  const digests = flags.digests === true;
  const head = ['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE'];
  const cells = rows.map(({ repository, tag, digest, id, created, bytes }) => [
    ...[repository, tag],
    ...(digests ? [digest] : []),
    ...[id, created, bytes],
  ]);
  process.stdout.write(table([head, ...cells]));
}

interface Row {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly id: string;
  readonly created: string;
  readonly bytes: string;
}

const NONE = '<none>';

/** A row for each name, then those of the images that it was on its way. */
function rowsOf(image: ImageView, { trunc }: Pick<ImagesFlags, 'trunc'>): readonly Row[] {
  const { digest, id, createdAt, sizeBytes } = image;
  const whole = { digest, id: shortId(id, trunc), created: ago(createdAt), bytes: size(sizeBytes) };
  const named = image.names.map((name) => {
    const { repository, tag = NONE } = splitName(name);
    return { ...whole, repository: cleanLine(repository, false), tag: cleanLine(tag, false) };
  });
  const unnamed = { repository: NONE, tag: NONE };
  const steps = (image.intermediates ?? []).map((each) => ({
    ...unnamed,
    digest: NONE,
    id: shortId(each.id, trunc),
    created: ago(each.createdAt),
    bytes: size(each.sizeBytes),
  }));
  return [...(named.length > 0 ? named : [{ ...whole, ...unnamed }]), ...steps];
}

/** `kiln history IMAGE`: the newest line first, as docker has it. */
export async function history(image: string, flags: HistoryFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const { content } = await client.images.image(image);
  const entries = content.variants[0]?.history.toReversed() ?? [];
  if (flags.json === true) return void process.stdout.write(`${JSON.stringify({ history: entries }, null, 2)}\n`);
  if (flags.quiet === true)
    return void process.stdout.write(entries.map((entry) => `${entryId(entry, flags.trunc)}\n`).join(''));
  const rows = entries.map((entry) => {
    const by = cleanLine(entry.createdBy, false);
    return [
      entryId(entry, flags.trunc),
      ago(entry.createdAt),
      flags.trunc && by.length > BY_LENGTH ? `${by.slice(0, BY_LENGTH - 1)}…` : by,
      size(entry.layer?.descriptor.size ?? 0),
      cleanLine(entry.comment ?? '', false),
    ];
  });
  process.stdout.write(table([['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'], ...rows]));
}

const BY_LENGTH = 45;

const entryId = ({ id }: ImageEntry, trunc: boolean): string => (id === undefined ? '<missing>' : shortId(id, trunc));

/** `kiln tag IMAGE NAME` */
export async function tag(image: string, name: string, flags: Common): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const tagged = await client.images.tag(image, name);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(tagged, null, 2)}\n`);
}

/** `kiln rmi IMAGE…` */
export async function rmi(wanted: readonly string[], flags: RemoveFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  const untagged: string[] = [];
  const deleted: string[] = [];
  for (const image of wanted) {
    const removed = await client.images.remove(image, { force: flags.force === true });
    untagged.push(...removed.untagged);
    deleted.push(...removed.deleted);
    if (flags.json === true) continue;
    for (const name of removed.untagged) process.stdout.write(`Untagged: ${familiarName(name)}\n`);
    for (const digest of removed.deleted) process.stdout.write(`Deleted: ${digest}\n`);
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ untagged, deleted }, null, 2)}\n`);
}

const shortId = (digest: string, trunc: boolean): string =>
  trunc ? digest.replace('sha256:', '').slice(0, 12) : digest;

const ago = (time: string | undefined): string =>
  time === undefined ? 'N/A' : agoText(Date.now() - new Date(time).getTime());
