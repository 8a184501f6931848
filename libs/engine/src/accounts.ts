import { KilnError } from '#std';

/** Reads a file of the image's root by absolute path; null when there is none. */
export type ReadRootFile = (path: string) => Promise<string | null>;

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** As in Docker; the sandbox' user namespace has so many. */
const MAX_ID = 2 ** 31 - 1;

interface Passwd {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}
interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const numeric = (text: string): number | undefined => (/^[-+]?\d+$/.test(text) ? Number(text) : undefined);

/** As the runtime has it: what should be a number and is none counts as 0. */
const idOf = (text: string | undefined): number => numeric(text ?? '') ?? 0;

function lines(text: string | null): readonly string[][] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
}

function parsePasswd(text: string | null): readonly Passwd[] {
  return lines(text).map(([name = '', , uid, gid]) => ({ name, uid: idOf(uid), gid: idOf(gid) }));
}

function parseGroup(text: string | null): readonly Group[] {
  return lines(text)
    .filter(([name = '']) => !name.startsWith('#'))
    .map(([name = '', , gid, members = '']) => ({ name, gid: idOf(gid), members: members.split(',') }));
}

function checked(id: number, text: string): number {
  if (id >= 0 && id <= MAX_ID) return id;
  throw new KilnError('DOCKERFILE_INVALID', `the id ${id} in ${JSON.stringify(text)} is not between 0 and ${MAX_ID}`, {
    hint: `ids go from 0 to ${MAX_ID}`,
  });
}

/** The first entry with that id, or that name where it is no number. */
function findGroup(groups: readonly Group[], text: string, whole: string): number {
  const id = numeric(text);
  if (id !== undefined) return checked(id, whole);
  const found = groups.find(({ name }) => name === text);
  if (found !== undefined) return checked(found.gid, whole);
  throw new KilnError('STEP_FAILED', `unable to find group ${text}: no matching entries in /etc/group`, {
    hint: 'create the group in an earlier RUN, or give its number',
  });
}

/**
 * Who a RUN step is, from USER (`name|id[:group|gid]`, empty for root) and the image's own account files, as the runtimes'
 * look-up has it: the first entry counts, a number is never a name, an id without an entry stands for itself with group 0,
 * and only a user without `:group` brings its supplementary groups. The group is one of `additionalGids`.
 * @throws KilnError STEP_FAILED when a name is unknown, DOCKERFILE_INVALID for an id out of range
 */
export async function processUser(text: string, read: ReadRootFile): Promise<ProcessUser> {
  const [user = '', group = ''] = (text === '' ? '0' : text).split(':');
  const both = [user, group].map((part) => (part === 'root' ? 0 : numeric(part)));
  if (both[0] !== undefined && both[1] !== undefined && group !== '') {
    const gid = checked(both[1], text);
    return { uid: checked(both[0], text), gid, additionalGids: [gid] };
  }
  const id = user === '' ? 0 : numeric(user);
  if (id !== undefined) checked(id, text);
  const accounts = parsePasswd(await read('/etc/passwd'));
  const account = accounts.find(({ uid, name }) => (id === undefined ? name === user : uid === id));
  const uid = account?.uid ?? id;
  if (uid === undefined) throw unknownUser(user);
  const groups = parseGroup(await read('/etc/group'));
  const gid = checked(group === '' ? (account?.gid ?? 0) : findGroup(groups, group, text), text);
  const supplementary =
    group === '' && account !== undefined && account.name !== ''
      ? groups.filter(({ members }) => members.includes(account.name)).map((entry) => checked(entry.gid, text))
      : [];
  const additionalGids = supplementary.includes(gid) ? supplementary : [gid, ...supplementary];
  return { uid: checked(uid, text), gid, additionalGids };
}

/** Files can be given to root, or to nobody by name, in an image without accounts. */
const fileId = (text: string): number | undefined => (text === 'root' || text === '' ? 0 : numeric(text));

/**
 * Who owns copied files, from --chown: a name alone brings its group, an id alone is also the group's id.
 * @throws KilnError STEP_FAILED when a name is unknown
 */
export async function fileOwner(text: string, read: ReadRootFile): Promise<{ uid: number; gid: number }> {
  const [user = '', group] = split(text);
  const id = fileId(user);
  const account =
    id === undefined ? parsePasswd(await read('/etc/passwd')).find(({ name }) => name === user) : undefined;
  const uid = id ?? account?.uid;
  if (uid === undefined) throw unknownUser(user);
  if (group === undefined) return { uid: checked(uid, text), gid: checked(account?.gid ?? uid, text) };
  const gid = fileId(group) ?? findGroup(parseGroup(await read('/etc/group')), group, text);
  return { uid: checked(uid, text), gid: checked(gid, text) };
}

function split(text: string): [string, string | undefined] {
  const colon = text.indexOf(':');
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function unknownUser(name: string): KilnError {
  return new KilnError('STEP_FAILED', `unable to find user ${name}: no matching entries in /etc/passwd`, {
    hint: 'create the user in an earlier RUN, or give its number',
  });
}
