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

const numeric = (text: string): number | undefined => (/^\d{1,10}$/.test(text) ? Number(text) : undefined);

function lines(text: string | null): readonly string[][] {
  return (text ?? '').split('\n').map((line) => line.trim().split(':'));
}

function parsePasswd(text: string | null): readonly Passwd[] {
  return lines(text).flatMap(([name, , uid, gid]) => {
    const ids = [numeric(uid ?? ''), numeric(gid ?? '')];
    return name && ids[0] !== undefined && ids[1] !== undefined ? [{ name, uid: ids[0], gid: ids[1] }] : [];
  });
}

function parseGroup(text: string | null): readonly Group[] {
  return lines(text).flatMap(([name, , gid, members]) => {
    const id = numeric(gid ?? '');
    return name && id !== undefined ? [{ name, gid: id, members: (members ?? '').split(',').filter(Boolean) }] : [];
  });
}

function checked(id: number, text: string): number {
  if (id <= MAX_ID) return id;
  throw new KilnError('DOCKERFILE_INVALID', `the id ${id} in ${JSON.stringify(text)} is above ${MAX_ID}`, {
    hint: `ids go from 0 to ${MAX_ID}`,
  });
}

function findGroup(groups: readonly Group[], text: string, whole: string): number {
  const found = groups.find(({ name }) => name === text)?.gid ?? numeric(text);
  if (found !== undefined) return checked(found, whole);
  throw new KilnError('STEP_FAILED', `unable to find group ${text}: no matching entries in /etc/group`, {
    hint: 'create the group in an earlier RUN, or give its number',
  });
}

/**
 * Who a RUN step is, from USER (`name|id[:group|gid]`, empty for root) and the image's own account files.
 * @throws KilnError STEP_FAILED when a name is unknown
 */
export async function processUser(text: string, read: ReadRootFile): Promise<ProcessUser> {
  const [user = '', group] = split(text === '' ? '0' : text);
  const accounts = parsePasswd(await read('/etc/passwd'));
  const groups = parseGroup(await read('/etc/group'));
  const account = findUser(accounts, user);
  const uid = account?.uid ?? numeric(user);
  if (uid === undefined) throw unknownUser(user);
  const gid = group === undefined ? (account?.gid ?? 0) : findGroup(groups, group, text);
  const additionalGids =
    group === undefined && account !== undefined
      ? groups.filter(({ members }) => members.includes(account.name)).map((entry) => checked(entry.gid, text))
      : [];
  return { uid: checked(uid, text), gid: checked(gid, text), additionalGids };
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
  const account = id === undefined ? findUser(parsePasswd(await read('/etc/passwd')), user) : undefined;
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

function findUser(accounts: readonly Passwd[], text: string): Passwd | undefined {
  const id = numeric(text);
  return accounts.find(({ name }) => name === text) ?? accounts.find(({ uid }) => uid === id);
}

function unknownUser(name: string): KilnError {
  return new KilnError('STEP_FAILED', `unable to find user ${name}: no matching entries in /etc/passwd`, {
    hint: 'create the user in an earlier RUN, or give its number',
  });
}
