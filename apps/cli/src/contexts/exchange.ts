import { ciIdToken, type KilnClient } from '#client';
import { type ExchangedToken, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '#protocol';
import { usageError } from '../usage.ts';
import type { Farm } from './choose-farm.ts';

export interface Exchange {
  /** a project of the farm, whose trust rules decide */
  readonly project: string | undefined;
  /** whom the id token is for; the farm's URL when it is not said */
  readonly audience: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * A short-lived token of the farm for an id token of the CI system that this job runs in.
 * @param idToken one that is at hand already
 * @throws KilnError INVALID_ARGUMENT without a project or an id token, UNAUTHENTICATED when no trust rule takes it
 */
export async function exchangeIdToken(
  client: KilnClient,
  { url }: Pick<Farm, 'url'>,
  { project, audience, environment }: Exchange,
  idToken?: string,
): Promise<ExchangedToken> {
  if (project === undefined || project === '')
    throw usageError(
      'an id token is exchanged for a token of a project, and none is named',
      'set KILN_PROJECT, or --project',
    );
  const token = idToken ?? (await ciIdToken({ environment, audience: audience ?? new URL(url).origin }));
  return await client.access.exchange({
    grant_type: TOKEN_EXCHANGE,
    subject_token_type: ID_TOKEN_TYPE,
    subject_token: token,
    project,
  });
}
