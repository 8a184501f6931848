import { Controller, Get, Header, Inject } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { z } from 'zod';
import { sessionRoute } from '../builds/session-route.ts';
import { Public } from '../http/auth.guard.ts';
import { Described } from './described.ts';
import { docsPage, docsPolicy } from './docs-page.ts';
import { type OpenApi, openApi } from './document.ts';
import { readRoutes } from './read-routes.ts';

/** The API's own description, made of the schemas that validate. */
@Controller()
@Public()
export class OpenApiController {
  readonly #document: () => OpenApi;
  #made: { readonly document: OpenApi; readonly page: string } | undefined;

  constructor(
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
    @Inject(Reflector) reflector: Reflector,
  ) {
    this.#document = () => openApi([...readRoutes({ discovery, scanner, reflector }), sessionRoute]);
  }

  @Described({ summary: 'the API as an OpenAPI 3.1 document', answer: z.looseObject({ openapi: z.string() }) })
  @Get('v1/openapi.json')
  document(): OpenApi {
    return this.#once().document;
  }

  @Described({ summary: 'the API as a page for people', answer: { 'text/html': z.string() } })
  @Get('docs')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', docsPolicy)
  @Header('referrer-policy', 'no-referrer')
  page(): string {
    return this.#once().page;
  }

  #once(): { readonly document: OpenApi; readonly page: string } {
    if (this.#made !== undefined) return this.#made;
    const document = this.#document();
    return (this.#made = { document, page: docsPage(document) });
  }
}
