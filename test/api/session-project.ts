import { MeView, ProjectList } from '#protocol';
import { ProjectStore } from '#storage';
import type { Visitor } from '#testing';
import request, { type Response } from 'supertest';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Farm, submitted } from './farm.ts';

export interface Signed {
  readonly farm: Farm;
  readonly issuer: string;
  /** the cookie of somebody who signs in, in a project */
  readonly session: (visitor: Visitor, project: string) => Promise<string>;
  /** of the team of the project `mine`, by an owner */
  readonly put: (name: string, body: object) => PromiseLike<Response>;
}

/** Whose session works in which project; on a farm with an issuer. */
export function describeSessionProject(signed: () => Signed): void {
  const at = (): string => signed().farm.url;
  const get = (path: string, cookie: string) => request(at()).get(path).set('cookie', cookie);
  const move = (cookie: string, project: string) =>
    request(at()).post('/v1/session/project').set({ cookie, 'x-kiln-csrf': '1' }).send({ project });
  const keptOf = ({ headers }: Response): string => String([headers['set-cookie']].flat()[0]).split(';')[0] ?? '';
  const me = async (cookie: string): Promise<MeView> => MeView.parse((await get('/v1/me', cookie)).body);
  const cleo: Visitor = { claims: { sub: 'cleo', email: 'cleo@example.com', email_verified: true } };
  const enter = (project = 'mine'): Promise<string> => signed().session(cleo, project);

  describe('a session in another project', () => {
    beforeAll(async () => {
      const { farm, issuer, put } = signed();
      await put('cleo', { role: 'maintainer', email: 'cleo@example.com' });
      await farm.db.execute("INSERT INTO teams (id, name) VALUES ('club', 'club'), ('rivals', 'rivals')");
      for (const team of ['club', 'rivals']) {
        const ids = await new ProjectStore(farm.db).ensure(`of-${team}`, 'main');
        await farm.db.execute('UPDATE projects SET team_id = $2 WHERE id = $1', [ids.projectId, team]);
      }
      // Another team knows the person, too, and as less.
      await farm.db.execute(
        `INSERT INTO members (team_id, id, name, role, issuer, subject) VALUES ('club', 'cleo-2', 'cleo', 0, $1, 'cleo')`,
        [issuer],
      );
    });

    it('may there what the person may, and ends where it was', async () => {
      const { farm } = signed();
      const before = await enter();
      const id = await submitted(farm, {}, farm.tokens.other);
      const cancel = (cookie: string) =>
        request(at()).post(`/v1/builds/${id}/cancel`).set({ cookie, 'x-kiln-csrf': '1' });
      expect((await cancel(before)).status).toBe(404);
      const moved = await move(before, 'other');
      expect([moved.status, moved.headers['cache-control']]).toEqual([200, 'no-store']);
      const after = keptOf(moved);
      expect(await me(after)).toEqual(moved.body);
      expect(MeView.parse(moved.body)).toMatchObject({
        project: 'other',
        member: { name: 'cleo', role: 'maintainer' },
      });
      expect((await cancel(after)).status).toBe(202);
      expect((await get('/v1/me', before)).status).toBe(401);
    });

    it('is told of where it may go', async () => {
      const { farm } = signed();
      const names = async (cookie: string): Promise<readonly string[]> =>
        ProjectList.parse((await get('/v1/session/projects?limit=100', cookie)).body).projects.map(({ name }) => name);
      expect(await names(await enter())).toEqual(expect.arrayContaining(['mine', 'of-club', 'other']));
      expect(await names(await enter())).not.toContain('of-rivals');
      const byToken = await request(at()).post('/v1/session').send({ token: farm.tokens.owner });
      expect(await names(keptOf(byToken))).toEqual([]);
    });

    it('has the role that the person has in that team', async () => {
      const club = await move(await enter(), 'of-club');
      expect(MeView.parse(club.body)).toMatchObject({ team: 'club', project: 'of-club', permissions: ['read'] });
      const cookie = keptOf(club);
      const made = await request(at()).post('/v1/builds').set({ cookie, 'x-kiln-csrf': '1' }).send({});
      expect(made.status).toBe(403);
      expect((await get('/v1/builds?project=mine', cookie)).status).toBe(404);
      expect((await me(keptOf(await move(cookie, 'mine')))).permissions).toContain('admin');
    });

    it('lasts no longer than the one before, and is revoked with it', async () => {
      const { farm, put } = signed();
      const first = await enter();
      const { expiresAt } = await me(first);
      const second = keptOf(await move(first, 'other'));
      const third = keptOf(await move(second, 'mine'));
      expect((await me(third)).expiresAt).toBe(expiresAt);
      // An owner says that it may be somebody else, and there is nothing left to go by.
      await put('cleo', { role: 'maintainer', email: 'cleo@example.com' });
      expect([(await get('/v1/me', third)).status, (await move(third, 'other')).status]).toEqual([401, 401]);
      const audit = await request(at())
        .get('/v1/audit?action=session.move')
        .set('authorization', `Bearer ${farm.tokens.owner}`);
      expect(audit.body).toMatchObject({ entries: [{ member: 'cleo', project: 'mine', target: 'cleo' }, {}] });
    });

    it('does not begin where the person is not seen, and does not end for the attempt', async () => {
      const cookie = await enter();
      for (const project of ['of-rivals', 'nowhere']) {
        const answer = await move(cookie, project);
        expect([answer.status, answer.headers['set-cookie']]).toEqual([404, undefined]);
        expect(answer.body).toMatchObject({ field: 'project', detail: `there is no project "${project}"` });
      }
      expect((await me(cookie)).project).toBe('mine');
    });

    it('is not for who has a token, nor for pages of other sites', async () => {
      const { farm } = signed();
      const byToken = keptOf(await request(at()).post('/v1/session').send({ token: farm.tokens.owner }));
      for (const project of ['other', 'of-rivals', 'mine'])
        expect((await move(byToken, project)).body).toMatchObject({ status: 403, code: 'PERMISSION_DENIED' });
      expect((await me(byToken)).project).toBe('mine');
      const cookie = await enter();
      const bearer = (token: string) => move(cookie, 'other').set('authorization', `Bearer ${token}`);
      expect((await bearer(farm.tokens.mine)).status).toBe(409);
      expect((await bearer('kiln_nope')).status).toBe(401);
      const bare = request(at()).post('/v1/session/project').set('cookie', cookie).send({ project: 'other' });
      expect((await bare).body).toMatchObject({ status: 403, field: 'X-Kiln-CSRF' });
      expect((await move(cookie, 'other').set('origin', 'https://evil.example')).status).toBe(403);
      expect((await move(cookie, 'other').set('sec-fetch-site', 'same-site')).status).toBe(403);
      expect((await move('', 'other')).status).toBe(401);
      expect((await me(cookie)).project).toBe('mine');
    });
  });
}
