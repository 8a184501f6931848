import { type Command, Option } from 'commander';
import { progressModes } from '../progress/progress-modes.ts';
import type { HistoryFlags, ImagesFlags, RemoveFlags } from './images.ts';
import type { ProxyFlags } from './proxy.ts';
import type { PushFlags } from './push.ts';
import { DATA, JSON_FLAG } from './flags.ts';

const IMAGE = ['<image>', 'name, digest or id; of the latter the first digits suffice'] as const;

/** `kiln images`, `history`, `tag`, `push` and `rmi`, and what docker's clients have of them. */
export function addImages(program: Command): void {
  program
    .command('images')
    .description('list images that builds made, newest first')
    .argument('[name]', 'those of this name: acme/app, or acme/app:1')
    .option('-a, --all', 'those without a name too, and the image after each instruction')
    .option('--digests', 'with their digests')
    .option('--no-trunc', 'ids in full')
    .option('-q, --quiet', 'ids alone')
    .option('-n, --limit <n>', 'how many', '100')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (name: string | undefined, flags: ImagesFlags) => (await import('./images.ts')).images(name, flags));
  program
    .command('history')
    .description('show what an image is made of, the newest layer first')
    .argument(...IMAGE)
    .option('--no-trunc', 'instructions and ids in full')
    .option('-q, --quiet', 'ids alone')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (image: string, flags: HistoryFlags) => (await import('./images.ts')).history(image, flags));
  program
    .command('tag')
    .description('give an image one more name')
    .argument(...IMAGE)
    .argument('<name>', 'the new name')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (image: string, name: string, flags: RemoveFlags) =>
      (await import('./images.ts')).tag(image, name, flags),
    );
  program
    .command('push')
    .description('push an image that a build made; nothing is built')
    .argument(...IMAGE)
    .argument('[names...]', 'where it goes; its own names when none is given')
    .addOption(new Option('--progress <mode>', 'how it is told').choices(progressModes).default('auto'))
    .option('-q, --quiet', 'print nothing but the digest')
    .option('-d, --detach', 'print the id of the push and leave it to the farm: kiln logs -f shows it')
    .option(...DATA)
    .action(async (image: string, names: readonly string[], flags: PushFlags) =>
      (await import('./push.ts')).push(image, names, flags),
    );
  program
    .command('proxy')
    .description('let docker’s own clients build on the farm: a Docker engine on this machine, until it is interrupted')
    .option('--listen <address>', 'HOST:PORT, or unix:///path of a socket', '127.0.0.1:2375')
    .option('--allow-remote', 'an address that other machines reach, too')
    .option(...DATA)
    .action(async (flags: ProxyFlags) => (await import('./proxy.ts')).proxy(flags));
  program
    .command('rmi')
    .description('take names from images, and with the last one the image')
    .argument('<images...>', 'names, digests or ids')
    .option('-f, --force', 'by its id also an image with several names')
    .option(...JSON_FLAG)
    .option(...DATA)
    .action(async (images: readonly string[], flags: RemoveFlags) => (await import('./images.ts')).rmi(images, flags));
}
