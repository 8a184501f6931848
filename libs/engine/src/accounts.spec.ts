import { describe, expect, it } from 'vitest';
import { fileOwner, processUser } from './accounts.ts';

const files: Readonly<Record<string, string>> = {
  '/etc/passwd': [
    'root:x:0:0:root:/root:/bin/sh',
    '# a comment',
    'broken:x:many:0',
    'app:x:1000:1001:App:/home/app:/bin/sh',
    '1234:x:77:78::/:/bin/sh',
    'huge:x:4000000000:0::/:/bin/sh',
    'inner:x:1002:97::/:/bin/sh',
    'twice:x:11:0::/:/bin/sh',
    'twice:x:12:0::/:/bin/sh',
  ].join('\n'),
  '/etc/group':
    'root:x:0:\napp:x:1001:\n#off:x:5:app\ndocker:x:99:other,app\nwheel:x:98:app\n77:x:55:\ninner:x:97:inner\nadm:x:96:root\n',
};
const read = (path: string) => Promise.resolve(files[path] ?? null);
const nothing = () => Promise.resolve(null);

describe('processUser', () => {
  it.each([
    ['', { uid: 0, gid: 0, additionalGids: [0, 96] }],
    ['root', { uid: 0, gid: 0, additionalGids: [0, 96] }],
    ['app', { uid: 1000, gid: 1001, additionalGids: [1001, 99, 98] }],
    ['1000', { uid: 1000, gid: 1001, additionalGids: [1001, 99, 98] }],
    ['+1000', { uid: 1000, gid: 1001, additionalGids: [1001, 99, 98] }],
    // Only without a group of its own a user brings further ones.
    ['app:docker', { uid: 1000, gid: 99, additionalGids: [99] }],
    ['app:5', { uid: 1000, gid: 5, additionalGids: [5] }],
    ['app:', { uid: 1000, gid: 1001, additionalGids: [1001, 99, 98] }],
    ['5', { uid: 5, gid: 0, additionalGids: [0] }],
    ['5:docker', { uid: 5, gid: 99, additionalGids: [99] }],
    ['root:root', { uid: 0, gid: 0, additionalGids: [0] }],
    [':docker', { uid: 0, gid: 99, additionalGids: [99] }],
    // A number is never a name.
    ['1234', { uid: 1234, gid: 0, additionalGids: [0] }],
    ['5:77', { uid: 5, gid: 77, additionalGids: [77] }],
    // A member of its own group is not listed twice.
    ['inner', { uid: 1002, gid: 97, additionalGids: [97] }],
    // The first entry counts; what is no number counts as 0.
    ['twice', { uid: 11, gid: 0, additionalGids: [0] }],
    ['broken', { uid: 0, gid: 0, additionalGids: [0] }],
  ])('%j', async (text, expected) => {
    expect(await processUser(text, read)).toEqual(expected);
  });

  it('needs no account files for numbers', async () => {
    expect(await processUser('7:8', nothing)).toEqual({ uid: 7, gid: 8, additionalGids: [8] });
    expect(await processUser('', nothing)).toEqual({ uid: 0, gid: 0, additionalGids: [0] });
  });

  it.each([
    ['nobody', 'STEP_FAILED', 'unable to find user nobody'],
    ['app:none', 'STEP_FAILED', 'unable to find group none'],
    ['app:#off', 'STEP_FAILED', 'unable to find group #off'],
    ['-1', 'DOCKERFILE_INVALID', 'not between 0 and 2147483647'],
    ['2147483648', 'DOCKERFILE_INVALID', 'not between 0 and 2147483647'],
    ['huge', 'DOCKERFILE_INVALID', 'not between 0 and 2147483647'],
    ['0:2147483648', 'DOCKERFILE_INVALID', 'not between 0 and 2147483647'],
  ])('refuses %j', async (text, code, message) => {
    const refused = processUser(text, read);
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });
});

describe('fileOwner', () => {
  it.each([
    ['app', { uid: 1000, gid: 1001 }],
    // An id alone is also the group's, whatever the account of that id has.
    ['1000', { uid: 1000, gid: 1000 }],
    ['1234', { uid: 1234, gid: 1234 }],
    ['app:77', { uid: 1000, gid: 77 }],
    ['5:docker', { uid: 5, gid: 99 }],
    [':docker', { uid: 0, gid: 99 }],
    ['5:', { uid: 5, gid: 0 }],
  ])('%j', async (text, expected) => {
    expect(await fileOwner(text, read)).toEqual(expected);
  });

  it('knows root without account files', async () => {
    expect(await fileOwner('root', nothing)).toEqual({ uid: 0, gid: 0 });
    expect(await fileOwner('7:root', nothing)).toEqual({ uid: 7, gid: 0 });
  });

  it('refuses what is not in the image', async () => {
    await expect(fileOwner('nobody', read)).rejects.toMatchObject({ code: 'STEP_FAILED' });
    await expect(fileOwner('app:none', read)).rejects.toMatchObject({ code: 'STEP_FAILED' });
    await expect(fileOwner('app', nothing)).rejects.toMatchObject({ code: 'STEP_FAILED' });
  });
});
