import { parseReference } from '#oci';
import { BuildRequest, ContainerRun, type RunRequest } from '#protocol';
import { isKilnError, KilnError } from '#std';
import type { ImageStore, Principal } from '#storage';

/** What is no name of a registry's image: an id as `kiln images` shows it. */
const ID = /^(?:sha256:)?[0-9a-f]{12,64}$/;

/**
 * The build that runs an image once: one that the caller sees by this name, digest or id, else what a registry has.
 * @throws KilnError NOT_FOUND, CONFLICT, INVALID_ARGUMENT for what is no name of an image
 */
export async function runBuildRequest(
  images: Pick<ImageStore, 'get'>,
  caller: Principal,
  reference: string,
  request: RunRequest,
): Promise<BuildRequest> {
  const { platform, pull, command, entrypoint, env, user, workdir, tmpfs, ...others } = request;
  const image = pull === 'always' ? undefined : await knownImage(images, caller, reference, pull);
  if (image === undefined) checkReference(reference);
  return BuildRequest.parse({
    ...others,
    call: 'run',
    ...{ image, reference, pull: pull === 'always' },
    platforms: platform === undefined ? [] : [platform],
    run: ContainerRun.parse({ command, entrypoint, env, user, workdir, tmpfs }),
  });
}

async function knownImage(
  images: Pick<ImageStore, 'get'>,
  caller: Principal,
  reference: string,
  pull: RunRequest['pull'],
): Promise<string | undefined> {
  try {
    return (await images.get(caller, reference)).digest;
  } catch (thrown) {
    if (!isKilnError(thrown, 'NOT_FOUND') || pull === 'never' || ID.test(reference)) throw thrown;
    return undefined;
  }
}

function checkReference(reference: string): void {
  try {
    parseReference(reference);
  } catch (cause) {
    if (!isKilnError(cause)) throw cause;
    throw new KilnError('INVALID_ARGUMENT', cause.message, { field: 'image', hint: cause.hint, cause });
  }
}
