import { Controller, Get, Inject, Query } from '@nestjs/common';
import { type AuditList, AuditQuery } from '#protocol';
import type { AuditLog, Principal } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { AUDIT } from '../tokens.ts';

/** Who did what in the caller's project. */
@Controller('v1/audit')
@Needs('admin')
export class AuditController {
  readonly #audit: AuditLog;

  constructor(@Inject(AUDIT) audit: AuditLog) {
    this.#audit = audit;
  }

  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: AuditQuery }) query: AuditQuery): Promise<AuditList> {
    return await this.#audit.list(caller, query);
  }
}
