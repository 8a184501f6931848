const LOCAL = 'to have it on this machine: kiln build --load, then docker run';
const NO_TERMINAL = `a container of the farm has no terminal and no input; ${LOCAL}`;
const NO_NETWORK = `nobody reaches into a container of the farm; ${LOCAL}`;
const NO_MOUNT = `the farm has no files of this machine: COPY them into the image, or give small ones with --secret; ${LOCAL}`;
const SAME = 'it runs under the rules of RUN, which are the same for all';

/** Flags of `docker run` that a farm cannot honour, and what to do instead. */
export const refusedFlags: Readonly<Record<string, string>> = {
  '-i, --interactive': NO_TERMINAL,
  '-t, --tty': NO_TERMINAL,
  '-a, --attach <value>': 'what it writes comes out as it is written: leave it out',
  '-d, --detach': `a container ends with its command; ${LOCAL}`,
  '-p, --publish <value>': NO_NETWORK,
  '-P, --publish-all': NO_NETWORK,
  '--expose <value>': NO_NETWORK,
  '-v, --volume <value>': NO_MOUNT,
  '--mount <value>': NO_MOUNT,
  '--volumes-from <value>': NO_MOUNT,
  '--name <value>': 'it is known by the id that kiln builds shows',
  '-h, --hostname <value>': 'its name is the id of the run',
  '--restart <value>': 'it runs once',
  '-l, --label <value>': 'nothing is kept of it but its log',
  '--privileged': SAME,
  '--cap-add <value>': SAME,
  '--cap-drop <value>': SAME,
  '--security-opt <value>': SAME,
  '--device <value>': SAME,
  '--gpus <value>': SAME,
  '--read-only': 'what it changes is thrown away: leave it out',
  '--init': 'leave it out: what it leaves running is ended with it',
  '--cidfile <value>': 'kiln builds shows its id',
};
