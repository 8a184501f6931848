import { type FormEvent, useState } from 'react';
import { Link } from 'wouter';
import type { MeView, WebhookView } from '#protocol';
import { isKilnError } from '#std';
import { farm } from './farm.ts';
import { Copy, Failure, Time } from './parts.tsx';
import { Listed, useChange } from './settings-list.tsx';
import { mayAdminister, NotYours, OutOfReach, reaches } from './settings-rights.tsx';
import { WebhookForm } from './settings-webhook-form.tsx';

/** Who is told of builds: made, changed, tried and told again from here by who may. */
export function Webhooks({ me }: { readonly me: MeView }) {
  const { project } = me;
  const [open, setOpen] = useState<WebhookView>();
  const [edited, setEdited] = useState<WebhookView>();
  const ping = useChange('Webhooks', (id: string) => farm.access.pingWebhook(project, id));
  const toggle = useChange('Webhooks', ({ id, enabled }: WebhookView) =>
    farm.access.changeWebhook(project, id, { enabled: !enabled }),
  );
  const remove = useChange('Webhooks', (id: string) => farm.access.removeWebhook(project, id));
  const error = ping.error ?? toggle.error ?? remove.error;
  if (!mayAdminister(me)) return <NotYours me={me} what="webhooks" />;
  return (
    <>
      {edited === undefined ? (
        <NewWebhook project={project} />
      ) : (
        <WebhookForm key={edited.id} project={project} hook={edited} onClose={() => setEdited(undefined)} />
      )}
      {error !== null && <Failure error={error} />}
      <Listed
        name="Webhooks"
        load={(signal) => farm.access.webhooks(project, signal)}
        heads={['URL', 'Events', 'State', '']}
        keyOf={({ id }) => id}
        row={(hook) => [
          hook.name === null ? hook.url : `${hook.name} · ${hook.url}`,
          hook.events.join(', '),
          hook.enabled ? 'on' : (hook.disabledReason ?? 'off'),
          <span className="buttons">
            {reaches(me, hook.trust) ? (
              <>
                <button type="button" onClick={() => ping.mutate(hook.id)}>
                  Ping
                </button>
                <button type="button" aria-label={`Change ${hook.url}`} onClick={() => setEdited(hook)}>
                  Change
                </button>
                <button type="button" onClick={() => toggle.mutate(hook)} disabled={toggle.isPending}>
                  {hook.enabled ? 'Switch off' : 'Switch on'}
                </button>
                <button
                  type="button"
                  aria-label={`Remove ${hook.url}`}
                  onClick={() => {
                    if (window.confirm(`Remove ${hook.url}? Its deliveries go with it.`)) remove.mutate(hook.id);
                  }}
                >
                  Remove
                </button>
              </>
            ) : (
              <OutOfReach me={me} trust={hook.trust} />
            )}
            <button
              type="button"
              aria-expanded={open?.id === hook.id}
              onClick={() => setOpen(open?.id === hook.id ? undefined : hook)}
            >
              Deliveries
            </button>
          </span>,
        ]}
        empty="Nobody is told of builds."
        command="kiln webhook create https://ci.example.com/kiln"
      />
      {open !== undefined && (
        <Deliveries key={open.id} project={project} id={open.id} mayChange={reaches(me, open.trust)} />
      )}
    </>
  );
}

function NewWebhook({ project }: { readonly project: string }) {
  const [url, setUrl] = useState('');
  const create = useChange('Webhooks', () => farm.access.createWebhook(project, { url }));
  const send = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate(undefined, { onSuccess: () => setUrl('') });
  };
  const ofField = isKilnError(create.error) && create.error.field === 'url';
  return (
    <>
      <form className="filters" onSubmit={send}>
        <input
          aria-label="URL of the new webhook"
          aria-invalid={ofField}
          aria-describedby={ofField ? 'webhook-url-fault' : undefined}
          placeholder="https://…"
          required
          size={40}
          value={url}
          onChange={(event) => setUrl(event.target.value)}
        />
        <button type="submit" disabled={create.isPending}>
          Create webhook
        </button>
        {ofField && (
          <span id="webhook-url-fault" role="alert" className="state failed">
            {create.error?.message}
          </span>
        )}
      </form>
      {create.error !== null && !ofField && <Failure error={create.error} />}
      {create.data !== undefined && (
        <div className="notice" role="status">
          <p>Deliveries are signed with this; it is shown once:</p>
          <Copy text={create.data.secret} label="the secret" />
        </div>
      )}
    </>
  );
}

interface DeliveriesProps {
  readonly project: string;
  readonly id: string;
  readonly mayChange: boolean;
}

function Deliveries({ project, id, mayChange }: DeliveriesProps) {
  const name = `Deliveries of ${id}`;
  const again = useChange(name, (delivery: string) => farm.access.redeliverWebhook(project, id, delivery));
  return (
    <>
      {again.error !== null && <Failure error={again.error} />}
      <Listed
        name={name}
        load={async (signal) => (await farm.access.webhookDeliveries(project, id, { signal })).deliveries}
        heads={['Event', 'Build', 'State', 'Tries', 'Last answer', 'When', '']}
        keyOf={(each) => each.id}
        row={(each) => [
          each.event,
          each.buildId === null ? '' : <Link href={`/b/${each.buildId}`}>{each.buildId}</Link>,
          each.state,
          each.attempts.length,
          each.attempts.at(-1)?.error ?? each.attempts.at(-1)?.status ?? '',
          <Time at={each.createdAt} />,
          mayChange ? (
            <button type="button" onClick={() => again.mutate(each.id)}>
              Send again
            </button>
          ) : (
            ''
          ),
        ]}
        empty="Nothing was sent yet."
      />
    </>
  );
}
