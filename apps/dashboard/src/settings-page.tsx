import { type FormEvent, type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { type MeView, Permission } from '#protocol';
import { farm } from './farm.ts';
import { Copy, Failure, Time } from './parts.tsx';
import { Listed, useChange } from './settings-list.tsx';
import { Audit } from './settings-audit.tsx';
import { Members } from './settings-members.tsx';
import { Project } from './settings-project.tsx';
import { Registries } from './settings-registries.tsx';
import { ownsTeam } from './settings-rights.tsx';
import { TrustRules } from './settings-trust-rules.tsx';
import { Webhooks } from './settings-webhooks.tsx';

const parts: Readonly<Record<string, { readonly title: string; readonly show: (me: MeView) => ReactNode }>> = {
  tokens: { title: 'Tokens', show: (me) => <Tokens me={me} /> },
  members: { title: 'Members', show: (me) => <Members me={me} /> },
  project: { title: 'Project', show: (me) => <Project me={me} /> },
  projects: { title: 'Projects', show: (me) => <Projects me={me} /> },
  'trust-rules': { title: 'Trust rules', show: (me) => <TrustRules me={me} /> },
  registries: { title: 'Registries', show: (me) => <Registries me={me} /> },
  webhooks: { title: 'Webhooks', show: (me) => <Webhooks me={me} /> },
  audit: { title: 'Audit', show: (me) => <Audit me={me} /> },
};

export default function SettingsPage({ me, part }: { readonly me: MeView; readonly part: string }) {
  return (
    <>
      <h1>Settings of {me.project}</h1>
      <nav aria-label="Settings" className="tabs">
        {Object.entries(parts).map(([key, { title }]) => (
          <Link key={key} href={`/settings/${key}`} aria-current={key === part ? 'page' : undefined}>
            {title}
          </Link>
        ))}
      </nav>
      {parts[part]?.show(me) ?? <p>There is no such part.</p>}
    </>
  );
}

const timeOr = (at: string | null, otherwise: string): ReactNode => (at === null ? otherwise : <Time at={at} />);
const dateOr = (at: string | null, otherwise: string): string =>
  at === null ? otherwise : new Date(at).toLocaleDateString();

function Tokens({ me }: { readonly me: MeView }) {
  const [name, setName] = useState('');
  const [permissions, setPermissions] = useState<readonly Permission[]>(['read']);
  const create = useChange('Tokens', () => farm.access.createToken({ name, permissions: [...permissions] }));
  const revoke = useChange('Tokens', (id: string) => farm.access.revokeToken(id));
  const send = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate(undefined);
  };
  return (
    <>
      <form className="filters" onSubmit={send}>
        <input
          aria-label="Name of the new token"
          placeholder="name"
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        {me.permissions.map((each) => (
          <label key={each}>
            <input
              type="checkbox"
              checked={permissions.includes(each)}
              onChange={(event) =>
                setPermissions(
                  Permission.options.filter((one) => (one === each ? event.target.checked : permissions.includes(one))),
                )
              }
            />{' '}
            {each}
          </label>
        ))}
        <button type="submit" disabled={create.isPending || permissions.length === 0}>
          Create token
        </button>
      </form>
      {create.data !== undefined && (
        <div className="notice" role="status">
          <p>This is shown once:</p>
          <Copy text={create.data.token} label="the token" />
        </div>
      )}
      {(create.error ?? revoke.error) !== null && <Failure error={create.error ?? revoke.error} />}
      <Listed
        name="Tokens"
        load={async (signal) => (await farm.access.tokens({ limit: 100, signal })).tokens}
        heads={['Name', 'Whose', 'Scope', 'May', 'Used', 'Ends', '']}
        keyOf={({ id }) => id}
        row={(token) => [
          token.name,
          token.member ?? 'the project’s',
          token.scope,
          token.permissions.join(', '),
          timeOr(token.lastUsedAt, 'never'),
          dateOr(token.expiresAt, 'never'),
          <button
            type="button"
            onClick={() => {
              if (window.confirm(`Revoke the token ${token.name}? What uses it stops at once.`))
                revoke.mutate(token.id);
            }}
            aria-label={`Revoke ${token.name}`}
          >
            Revoke
          </button>,
        ]}
        empty="There is no token that you may see."
        command="kiln token create ci"
      />
    </>
  );
}

const Projects = ({ me }: { readonly me: MeView }) => (
  <>
    {ownsTeam(me) && (
      <p className="quiet">
        <code>kiln project create web</code> makes another.
      </p>
    )}
    <Listed
      name="Projects"
      load={async (signal) => (await farm.access.projects({ limit: 100, signal })).projects}
      heads={['Name', 'Team', 'Since']}
      keyOf={({ name }) => name}
      row={({ name, team, createdAt }) => [name, team, <Time at={createdAt} />]}
      empty="There is no project."
    />
  </>
);
