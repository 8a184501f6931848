import { All, Body, Controller, Get, Head, HttpCode, Inject, Param, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MAX_API_VERSION, MIN_API_VERSION, RegistryHost, versionProblem } from '#protocol';
import { KilnError, kilnVersion } from '#std';
import type { BuilderRegistry, ImageStore, Principal } from '#storage';
import { HEARTBEAT_TTL_MS } from '#dispatch';
import { AnyToken, Caller, Needs, Public } from '../http/auth.guard.ts';
import { clientSignal } from '../http/leaving.ts';
import { BUILDERS, IMAGES, SHUTDOWN } from '../tokens.ts';
import { EngineFilter } from './engine.filter.ts';
import { AuthConfig, credentialsOf, hostOf } from './registry-auth.ts';
import { RegistrySignIn } from './registry-sign-in.ts';

/** What docker's clients ask a daemon before anything else. https://docs.docker.com/reference/api/engine/ */
@UseFilters(EngineFilter)
@Controller('engine/:version')
export class EngineSystemController {
  readonly #builders: BuilderRegistry;
  readonly #images: ImageStore;
  readonly #signIn: RegistrySignIn;
  readonly #shutdown: AbortController;

  constructor(
    @Inject(BUILDERS) builders: BuilderRegistry,
    @Inject(IMAGES) images: ImageStore,
    @Inject(RegistrySignIn) signIn: RegistrySignIn,
    @Inject(SHUTDOWN) shutdown: AbortController,
  ) {
    this.#builders = builders;
    this.#images = images;
    this.#signIn = signIn;
    this.#shutdown = shutdown;
  }

  @Public()
  @Head('_ping')
  async head(@Res() reply: FastifyReply): Promise<void> {
    await answerPing(reply).send();
  }

  @Public()
  @Get('_ping')
  async ping(@Res() reply: FastifyReply): Promise<void> {
    await answerPing(reply).send('OK');
  }

  @AnyToken()
  @Get('version')
  version(@Param('version') version: string): unknown {
    checkVersion(version);
    const about = { ApiVersion: MAX_API_VERSION, MinAPIVersion: MIN_API_VERSION, Os: 'linux', Arch: goArch() };
    return {
      Platform: { Name: 'Kiln build farm' },
      Version: kilnVersion(),
      ...about,
      GitCommit: '',
      GoVersion: '',
      KernelVersion: '',
      BuildTime: '',
      Components: [{ Name: 'Kiln', Version: kilnVersion(), Details: about }],
    };
  }

  @AnyToken()
  @Get('info')
  async info(@Caller() caller: Principal, @Param('version') version: string): Promise<unknown> {
    checkVersion(version);
    const builders = await this.#builders.list(HEARTBEAT_TTL_MS, caller.projectId);
    const { images } = await this.#images.list(caller, { limit: 100, all: false });
    return {
      ID: caller.project,
      Name: 'kiln',
      ServerVersion: kilnVersion(),
      OperatingSystem: 'Kiln build farm',
      OSType: 'linux',
      Architecture: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
      KernelVersion: '',
      Driver: 'kiln',
      DriverStatus: [
        ['Project', caller.project],
        ['Scope', caller.scope],
        ['Builders', String(builders.length)],
      ],
      Containers: 0,
      ContainersRunning: 0,
      ContainersPaused: 0,
      ContainersStopped: 0,
      Images: images.length,
      NCPU: builders.reduce((sum, { slots }) => sum + slots, 0),
      MemTotal: 0,
      DockerRootDir: '',
      IndexServerAddress: 'https://index.docker.io/v1/',
      Plugins: { Volume: [], Network: [], Log: [] },
      Swarm: { LocalNodeState: 'inactive', NodeID: '', ControlAvailable: false },
      SecurityOptions: ['name=seccomp,profile=default'],
      Warnings: null,
      Labels: [],
      ExperimentalBuild: false,
    };
  }

  /** Docker's client keeps what the registry takes, and sends it with builds and pushes. */
  @Post('auth')
  @HttpCode(200)
  async login(
    @Caller() { projectId }: Principal,
    @Param('version') version: string,
    @Body({ schema: AuthConfig }) given: AuthConfig,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<unknown> {
    checkVersion(version);
    const { serveraddress = '' } = given;
    const host = serveraddress === '' ? 'docker.io' : hostOf(serveraddress);
    const credentials = credentialsOf(given);
    if (credentials === undefined || !RegistryHost.safeParse(host).success)
      throw new KilnError('INVALID_ARGUMENT', 'a login is a registry, a name and a password', {
        field: 'serveraddress',
      });
    await this.#signIn.check({ projectId, host, credentials }, clientSignal(reply, this.#shutdown.signal));
    return { Status: 'Login Succeeded', IdentityToken: '' };
  }

  /** Containers, volumes, networks: a farm has none. */
  @Needs('read')
  @All('*')
  other(@Req() { url, method }: FastifyRequest): never {
    const path = url.replace(/^\/engine\/[^/]*/, '').split('?')[0] ?? '';
    if (path === '/session' || path === '/grpc') {
      throw new KilnError('INVALID_ARGUMENT', 'the farm does not speak the protocol of BuildKit to docker', {
        hint: 'set DOCKER_BUILDKIT=0, or use kiln build, which takes the same flags',
      });
    }
    throw new KilnError('NOT_FOUND', `${method} ${path}: a build farm builds, lists, tags and pushes images`, {
      hint: 'use a Docker engine for containers, volumes and networks',
    });
  }
}

/** @throws KilnError INVALID_ARGUMENT */
export function checkVersion(version: string): void {
  const wrong = versionProblem(version);
  if (wrong !== undefined) throw new KilnError('INVALID_ARGUMENT', wrong);
}

const goArch = (): string => (process.arch === 'arm64' ? 'arm64' : 'amd64');

function answerPing(reply: FastifyReply): FastifyReply {
  return reply
    .header('api-version', MAX_API_VERSION)
    .header('builder-version', '1')
    .header('docker-experimental', 'false')
    .header('ostype', 'linux')
    .header('swarm', 'inactive')
    .header('cache-control', 'no-cache, no-store, must-revalidate')
    .type('text/plain; charset=utf-8');
}
