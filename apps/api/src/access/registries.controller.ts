import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put } from '@nestjs/common';
import { RegistryHost, RegistryList, RegistryRequest, RegistryView } from '#protocol';
import type { Principal, RegistryCredentialStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { REGISTRIES } from '../tokens.ts';

/** Credentials of the caller's project for registries. */
@Controller('v1/registries')
@Needs('admin')
export class RegistriesController {
  readonly #registries: RegistryCredentialStore;

  constructor(@Inject(REGISTRIES) registries: RegistryCredentialStore) {
    this.#registries = registries;
  }

  @Described({ summary: 'registries that the project has credentials for; no secret is told', answer: RegistryList })
  @Get()
  async list(@Caller() caller: Principal): Promise<RegistryList> {
    return { registries: [...(await this.#registries.list(caller))] };
  }

  @Described({ summary: 'whom builds log in as at a registry', answer: RegistryView })
  @Get(':host')
  async get(@Caller() caller: Principal, @Param('host', { schema: RegistryHost }) host: string): Promise<RegistryView> {
    return await this.#registries.get(caller, host);
  }

  @Described({ summary: 'credentials for a registry', answer: RegistryView, errors: ['CONFLICT'] })
  @Put(':host')
  async put(
    @Caller() caller: Principal,
    @Param('host', { schema: RegistryHost }) host: string,
    @Body({ schema: RegistryRequest }) request: RegistryRequest,
  ): Promise<RegistryView> {
    return await this.#registries.put(caller, host, request);
  }

  @Described({ summary: 'forget the credentials for a registry', answer: {} })
  @Delete(':host')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('host', { schema: RegistryHost }) host: string): Promise<void> {
    await this.#registries.remove(caller, host);
  }
}
