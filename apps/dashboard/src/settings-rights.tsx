import { type MeView, Trust } from '#protocol';

export const mayAdminister = ({ permissions }: MeView): boolean => permissions.includes('admin');

/** Whether who is signed in decides over the team. */
export const ownsTeam = (me: MeView): boolean => me.member?.role === 'owner' && mayAdminister(me);

/** Whether something of this trust is in the hands of who is signed in. */
export const reaches = (me: Pick<MeView, 'trust'>, trust: Trust): boolean =>
  Trust.options.indexOf(trust) <= Trust.options.indexOf(me.trust);

/** How far what is made by who is signed in may be trusted. */
export const trustsWithin = (me: MeView): readonly Trust[] => Trust.options.filter((trust) => reaches(me, trust));

/** Why somebody sees and changes nothing here. */
export function NotYours({ me, what }: { readonly me: MeView; readonly what: string }) {
  const role = me.member?.role;
  const lesser = role === 'viewer' || role === 'developer';
  return (
    <div className="notice">
      <p>Only who administers the project sees and changes {what}.</p>
      <p className="quiet">
        {lesser
          ? `Your role is ${role}; a maintainer or an owner of the team may.`
          : 'You are signed in with a token that lacks admin; sign in with one that has it.'}
      </p>
    </div>
  );
}

/** In place of buttons, for what is trusted further than who is signed in. */
export function OutOfReach({ me, trust }: { readonly me: MeView; readonly trust: Trust }) {
  return (
    <span className="quiet">
      trusted as {trust}, your scope as {me.trust}: read only
    </span>
  );
}
