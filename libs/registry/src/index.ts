export { Egress, type EgressPolicy, isPrivateAddress, openEgress } from './egress.ts';
export { ConnectFailure, guardedConnector, type HostLookup, lookupBySystem } from './connector.ts';
export type { Mirror, RegistryAuth, RegistryOptions } from './options.ts';
export { Reachability } from './reachability.ts';
export type { PushOutcome } from './push-blob.ts';
export { RegistryClient } from './registry-client.ts';
export type { ResolvedManifest } from './resolve-image.ts';
export { type Authority, TrustStore } from './trust-store.ts';
export type { Repository, Source } from './repository.ts';
