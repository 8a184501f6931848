import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE, DiscoveryModule } from '@nestjs/core';
import { AuditController } from './access/audit.controller.ts';
import { MeController } from './access/me.controller.ts';
import { BuildersController } from './builders/builders.controller.ts';
import { MembersController } from './access/members.controller.ts';
import { OidcController } from './access/oidc.controller.ts';
import { OidcSignInController } from './access/oidc-sign-in.controller.ts';
import { SessionProjectController } from './access/session-project.controller.ts';
import { SignInController } from './access/sign-in.controller.ts';
import { ProjectController } from './access/project.controller.ts';
import { ProjectsController } from './access/projects.controller.ts';
import { RegistriesController } from './access/registries.controller.ts';
import { ScopesController } from './access/scopes.controller.ts';
import { TokensController } from './access/tokens.controller.ts';
import { TrustRulesController } from './access/trust-rules.controller.ts';
import { AcceptBuild } from './builds/accept-build.ts';
import { BuildLogsController } from './builds/build-logs.controller.ts';
import { BuildSessions } from './builds/build-sessions.ts';
import { BuildOutputsController } from './builds/build-outputs.controller.ts';
import { BuildsController } from './builds/builds.controller.ts';
import { CacheStatisticsController } from './cache/cache-statistics.controller.ts';
import { CacheController } from './cache/cache.controller.ts';
import { BlobsController } from './contexts/blobs.controller.ts';
import { ContextsController } from './contexts/contexts.controller.ts';
import { TakeContext } from './contexts/take-context.ts';
import { HealthController } from './health/health.controller.ts';
import { EngineBuildController } from './engine-api/engine-build.controller.ts';
import { EngineImagesController } from './engine-api/engine-images.controller.ts';
import { EngineSystemController } from './engine-api/engine-system.controller.ts';
import { RegistrySignIn } from './engine-api/registry-sign-in.ts';
import { ImageBuildsController } from './images/image-builds.controller.ts';
import { ImagesController } from './images/images.controller.ts';
import { AuthGuard } from './http/auth.guard.ts';
import { KnownQueryGuard } from './http/known-query.guard.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { SchemaPipe } from './http/schema.pipe.ts';
import { type Environment, InfrastructureModule } from './infrastructure.module.ts';
import { Housekeeping } from './housekeeping.ts';
import { MetricsController } from './metrics/metrics.controller.ts';
import { OpenApiController } from './openapi/openapi.controller.ts';
import { Reconciliation } from './reconciliation.ts';
import { WebhookDelivering } from './webhooks/webhook-delivering.ts';
import { WebhooksController } from './webhooks/webhooks.controller.ts';

@Module({})
export class AppModule {
  static for(environment: Environment): DynamicModule {
    return {
      module: AppModule,
      imports: [InfrastructureModule.for(environment), DiscoveryModule],
      controllers: [
        BuildsController,
        BuildLogsController,
        BuildOutputsController,
        BlobsController,
        ContextsController,
        CacheController,
        CacheStatisticsController,
        HealthController,
        ImagesController,
        ImageBuildsController,
        EngineBuildController,
        EngineImagesController,
        EngineSystemController,
        MetricsController,
        TokensController,
        ProjectsController,
        ProjectController,
        ScopesController,
        MembersController,
        MeController,
        SignInController,
        OidcSignInController,
        SessionProjectController,
        BuildersController,
        TrustRulesController,
        OidcController,
        AuditController,
        RegistriesController,
        WebhooksController,
        OpenApiController,
      ],
      providers: [
        AcceptBuild,
        RegistrySignIn,
        TakeContext,
        BuildSessions,
        Reconciliation,
        Housekeeping,
        WebhookDelivering,
        { provide: APP_GUARD, useClass: AuthGuard },
        { provide: APP_GUARD, useClass: KnownQueryGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useClass: SchemaPipe },
      ],
    };
  }
}
