import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put } from '@nestjs/common';
import { RegistryHost, type RegistryList, RegistryRequest, type RegistryView } from '#protocol';
import type { Principal, RegistryCredentialStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { REGISTRIES } from '../tokens.ts';

/** Credentials of the caller's project for registries. */
@Controller('v1/registries')
@Needs('admin')
export class RegistriesController {
  readonly #registries: RegistryCredentialStore;

  constructor(@Inject(REGISTRIES) registries: RegistryCredentialStore) {
    this.#registries = registries;
  }

  @Get()
  async list(@Caller() caller: Principal): Promise<RegistryList> {
    return { registries: [...(await this.#registries.list(caller))] };
  }

  @Get(':host')
  async get(@Caller() caller: Principal, @Param('host', { schema: RegistryHost }) host: string): Promise<RegistryView> {
    return await this.#registries.get(caller, host);
  }

  @Put(':host')
  async put(
    @Caller() caller: Principal,
    @Param('host', { schema: RegistryHost }) host: string,
    @Body({ schema: RegistryRequest }) request: RegistryRequest,
  ): Promise<RegistryView> {
    return await this.#registries.put(caller, host, request);
  }

  @Delete(':host')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('host', { schema: RegistryHost }) host: string): Promise<void> {
    await this.#registries.remove(caller, host);
  }
}
