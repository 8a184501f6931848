import type { BuildEvent, ImageDetail } from '#protocol';
import { familiarReference, parseReference, type Reference } from '#oci';
import { type EngineMessage, problem, short } from './classic-output.ts';

const outcomes = { pushed: 'Pushed', exists: 'Layer already exists' } as const;

/** A push as a daemon tells it, for one repository. */
export class PushOutput {
  readonly #image: ImageDetail;
  readonly #names: readonly string[];
  isOver = false;

  /** @param names full ones, of one repository */
  constructor(image: ImageDetail, names: readonly string[]) {
    this.#image = image;
    this.#names = names;
  }

  begin(): readonly EngineMessage[] {
    const [first] = this.#names.map(parseReference);
    const layers = this.#image.content.variants.flatMap(({ history }) => history.flatMap(({ layer }) => layer ?? []));
    const distinct = [...new Set(layers.map(({ diffId }) => diffId))].toReversed();
    return [
      ...(first === undefined ? [] : [{ status: `The push refers to repository [${repositoryOf(first)}]` }]),
      ...distinct.map((diffId) => ({ status: 'Preparing', id: short(diffId), progressDetail: {} })),
    ];
  }

  see(event: BuildEvent): readonly EngineMessage[] {
    switch (event.type) {
      case 'layerPushed': {
        const { diffId, outcome, mountedFrom } = event;
        const status = outcome === 'mounted' ? `Mounted from ${mountedFrom ?? ''}` : outcomes[outcome];
        return [{ status, id: short(diffId), progressDetail: {} }];
      }
      case 'delivered':
      case 'succeeded':
        return this.isOver ? [] : this.#end();
      case 'failed':
        this.isOver = true;
        return [
          problem(
            event.failure.hint === undefined
              ? event.failure.message
              : `${event.failure.message} (${event.failure.hint})`,
          ),
        ];
      case 'cancelled':
        this.isOver = true;
        return [problem(`the push was cancelled: ${event.reason}`)];
      default:
        return [];
    }
  }

  #end(): readonly EngineMessage[] {
    this.isOver = true;
    const { digest, size } = this.#image.content.descriptor;
    return this.#names.flatMap((name) => {
      const { tag = '' } = parseReference(name);
      return [
        { status: `${tag}: digest: ${digest} size: ${size}` },
        { progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } },
      ];
    });
  }
}

/** A daemon names the whole repository, docker.io too. */
const repositoryOf = ({ registry, repository }: Reference): string => `${registry}/${repository}`;

/** `acme/app` of `docker.io/acme/app:1`. */
export function familiarRepository(name: string): string {
  const { registry, repository } = parseReference(name);
  return familiarReference({ registry, repository });
}
