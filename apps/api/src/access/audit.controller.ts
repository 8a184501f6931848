import { Controller, Get, Inject, Query } from '@nestjs/common';
import { AuditList, AuditQuery } from '#protocol';
import type { AuditLog, Principal } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { AUDIT } from '../tokens.ts';

/** Who did what in the caller's project. */
@Controller('v1/audit')
@Needs('admin')
export class AuditController {
  readonly #audit: AuditLog;

  constructor(@Inject(AUDIT) audit: AuditLog) {
    this.#audit = audit;
  }

  @Described({ summary: 'what changed rights or the cache, the newest first', answer: AuditList })
  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: AuditQuery }) query: AuditQuery): Promise<AuditList> {
    return await this.#audit.list(caller, query);
  }
}
