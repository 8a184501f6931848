import { type FormEvent, useState } from 'react';
import { type MemberView, type MeView, Role } from '#protocol';
import { farm } from './farm.ts';
import { Failure, Time } from './parts.tsx';
import { Listed, useChange } from './settings-list.tsx';

/** The team; an owner of it takes people in, gives them roles and lets them go. */
export function Members({ me }: { readonly me: MeView }) {
  const [name, setName] = useState('');
  const put = useChange('Members', (member: Pick<MemberView, 'name' | 'role'>) =>
    farm.access.putMember(member.name, { role: member.role }),
  );
  const remove = useChange('Members', (who: string) => farm.access.removeMember(who));
  const owner = me.member?.role === 'owner' && me.permissions.includes('admin');
  const error = put.error ?? remove.error;
  const send = (event: FormEvent): void => {
    event.preventDefault();
    put.mutate({ name, role: 'developer' }, { onSuccess: () => setName('') });
  };
  return (
    <>
      {owner && (
        <form className="filters" onSubmit={send}>
          <input
            aria-label="Name of the new member"
            placeholder="name"
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" disabled={put.isPending}>
            Add member
          </button>
        </form>
      )}
      {error !== null && <Failure error={error} />}
      <Listed
        name="Members"
        load={async (signal) => (await farm.access.members({ limit: 100, signal })).members}
        heads={['Name', 'Role', 'Since', '']}
        keyOf={(each) => each.name}
        row={(each) => [
          each.name,
          owner ? (
            <select
              aria-label={`Role of ${each.name}`}
              value={each.role}
              onChange={(event) => put.mutate({ name: each.name, role: Role.parse(event.target.value) })}
            >
              {Role.options.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </select>
          ) : (
            each.role
          ),
          <Time at={each.createdAt} />,
          owner ? (
            <button
              type="button"
              aria-label={`Remove ${each.name}`}
              onClick={() => {
                if (window.confirm(`Remove ${each.name}? Their tokens end at once.`)) remove.mutate(each.name);
              }}
            >
              Remove
            </button>
          ) : (
            ''
          ),
        ]}
        empty="The team has no members yet; tokens of the project are everybody’s."
      />
    </>
  );
}
