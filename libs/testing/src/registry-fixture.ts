import { type Descriptor, digestOf, mediaType, type Platform, type Reference, parseReference } from '#oci';
import { RegistryClient, type RegistryAuth, type RegistryOptions } from '#registry';
import { silentLogger } from '#std';
import { FaultRegistry } from './fault-registry.ts';
import { StepClock } from './step-clock.ts';

const platform: Platform = { os: 'linux', architecture: 'amd64' };
const layerBytes = Buffer.alloc(1_000_000, 'layer');
const layer: Descriptor = { mediaType: mediaType.ociLayer, digest: digestOf(layerBytes), size: layerBytes.length };
const configBytes = Buffer.from(
  JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: [layer.digest] }, config: { Env: ['A=b'] } }),
);
const manifestBytes = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    config: { mediaType: mediaType.ociConfig, digest: digestOf(configBytes), size: configBytes.length },
    layers: [layer],
  }),
);

/** An image of one layer. */
export const sampleImage = { platform, layer, layerBytes, configBytes, manifestBytes, digest: digestOf(manifestBytes) };

/** Puts {@link sampleImage} into a registry. */
export function addSampleImage(to: FaultRegistry, repository = 'acme/app', tag = '1'): void {
  to.addBlob(repository, layerBytes);
  to.addBlob(repository, configBytes);
  to.addManifest(repository, tag, mediaType.ociManifest, manifestBytes);
}

/** A registry on a bad day, another one, and clients of them. */
export class RegistryFixture implements AsyncDisposable {
  readonly clock = new StepClock();
  readonly #clients: RegistryClient[] = [];

  private constructor(
    readonly server: FaultRegistry,
    readonly other: FaultRegistry,
  ) {}

  static async start(): Promise<RegistryFixture> {
    return new RegistryFixture(await FaultRegistry.start(), await FaultRegistry.start());
  }

  /** `acme/app:1` at the first registry. */
  get image(): Reference {
    return parseReference(`${this.server.host}/acme/app:1`);
  }

  /** A client that may reach loopback, without credentials unless given. */
  client({ auth, ...options }: Partial<RegistryOptions> & { readonly auth?: RegistryAuth } = {}): RegistryClient {
    const client = new RegistryClient({
      clock: this.clock,
      random: (size) => new Uint8Array(size),
      credentials: () => Promise.resolve(auth ?? null),
      mirrors: [],
      plainHttp: [],
      logger: silentLogger,
      egress: { allow: ['127.0.0.0/8', '::1'] },
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    await this.server[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
  }
}
