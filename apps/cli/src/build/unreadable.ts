import { messageOf, systemCode } from '#std';

const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a part of the path is no directory',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'its links lead in a circle',
};

/** Why a path of the command line cannot be read, in words and without the system call. */
export function whyUnreadable(thrown: unknown): string {
  return words[systemCode(thrown) ?? ''] ?? messageOf(thrown);
}
