// The people who may sign in: invited, given a role, disabled, and given a new link.

import { useState } from "../../../vendor/hooks.js";
import { change, done } from "../../api.js";
import { useList } from "../../data.js";
import { html } from "../../lib.js";
import { me } from "../../session.js";
import { Copyable, mayLose } from "../../ui/copyable.js";
import { confirm, LeaveButton, mayDrop, open, useAction, Window } from "../../ui/dialog.js";
import { byField, TextField, useFirstError } from "../../ui/fields.js";
import { Day } from "../../ui/moment.js";
import { Button, More, Pending, say } from "../../ui/parts.js";
import { RoleField, roleName } from "../../ui/roles.js";
import { Sessions } from "../../ui/sessions.js";
import { Badge } from "../../ui/state.js";

const MEMBER = "id name email role createdAt disabledAt hasPassword";
const MEMBERS = `query Members($after: String) {
  members(first: 50, after: $after) {
    totalCount totalCountIsExact nodes { ${MEMBER} } pageInfo { endCursor hasNextPage }
  }
}`;
const CREATE_MEMBER = `mutation CreateMember($input: CreateMemberInput!) {
  createMember(input: $input) { link member { id } userErrors { code field message } }
}`;
const UPDATE_MEMBER = `mutation UpdateMember($input: UpdateMemberInput!) {
  updateMember(input: $input) { member { id } userErrors { code field message } }
}`;
const RESET_MEMBER = `mutation ResetMember($input: ResetMemberInput!) {
  resetMember(input: $input) { link userErrors { code field message } }
}`;

/** The link that a member follows, which is not shown again. */
function OneTimeLink({ name, link, onCopy }) {
  return html`
    <div class="notice ok"><p>Give this link to ${name}. It works once, for three days, and it is <strong>not shown again</strong>. Muster does not mail it.</p></div>
    <${Copyable} hasFocus label="Link" text=${link} onCopy=${onCopy} />
  `;
}

const UNTYPED = { name: "", email: "", role: "VIEWER" };

function Invite({ close }) {
  const [typed, setTyped] = useState(UNTYPED);
  const [made, setMade] = useState(null);
  const [copied, setCopied] = useState(false);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const set = (key) => (value) => setTyped((before) => ({ ...before, [key]: value }));
  const isEdited = JSON.stringify(typed) !== JSON.stringify(UNTYPED);
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      const { link, userErrors } = await change(CREATE_MEMBER, { ...typed, name: typed.name.trim(), email: typed.email.trim() });
      const { errors: found, rest } = byField(userErrors, Object.keys(typed));
      setErrors(found);
      setError(rest.join(" "));
      if (link) setMade(link);
    });
  };
  return html`
    <${Window}
      title=${made ? `${typed.name.trim()} is a member` : "Invite a member"}
      unsaved=${made ? !copied : isEdited}
      mayDrop=${made ? mayLose : mayDrop}
      onLeave=${() => close(Boolean(made))}
    >
      ${made
        ? html`
            <${OneTimeLink} name=${typed.name.trim()} link=${made} onCopy=${() => setCopied(true)} />
            <footer><${LeaveButton} look="primary">Done</${LeaveButton}></footer>
          `
        : html`
            <form ref=${form} novalidate onSubmit=${submit}>
              <${TextField} label="Name" maxlength="100" value=${typed.name} error=${errors.name ?? ""} onInput=${set("name")} />
              <${TextField} label="E-mail address" help="To sign in with." type="email" value=${typed.email} error=${errors.email ?? ""} onInput=${set("email")} />
              <${RoleField} value=${typed.role} error=${errors.role ?? ""} onInput=${set("role")} />
              <p class="error" role="alert">${error}</p>
              <footer>
                <${LeaveButton}>Cancel</${LeaveButton}>
                <${Button} look="primary" type="submit" busy=${busy}>Create the link</${Button}>
              </footer>
            </form>
          `}
    </${Window}>
  `;
}

function EditMember({ member, close }) {
  const before = { name: member.name, role: member.role };
  const [typed, setTyped] = useState(before);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const changed = Object.fromEntries(Object.entries(typed).filter(([key, value]) => value !== before[key]));
  const isEdited = Object.keys(changed).length > 0;
  const submit = (event) => {
    event.preventDefault();
    if (!isEdited) return close(false);
    run(async () => {
      const { userErrors } = await change(UPDATE_MEMBER, { id: member.id, ...changed });
      // Who is the last administrator keeps that role.
      const told = userErrors.map((one) => (one.code === "LAST_ADMINISTRATOR" ? { ...one, field: ["role"] } : one));
      const { errors: found, rest } = byField(told, Object.keys(typed));
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(`${typed.name} is changed.`);
      close(true);
    });
  };
  return html`
    <${Window} title="Edit member" second=${member.email} unsaved=${isEdited} onLeave=${() => close(false)}>
      <form ref=${form} novalidate onSubmit=${submit}>
        <${TextField} label="Name" maxlength="100" value=${typed.name} error=${errors.name ?? ""} onInput=${(name) => setTyped({ ...typed, name })} />
        <${RoleField} value=${typed.role} error=${errors.role ?? ""} onInput=${(role) => setTyped({ ...typed, role })} />
        ${changed.role && html`<p class="second">Another role ends all sessions of this member${isMe(member) ? ", also the one that you use now" : ""}.</p>`}
        <p class="error" role="alert">${error}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} look="primary" type="submit" busy=${busy}>Save</${Button}>
        </footer>
      </form>
      <div class="apart">
        <h3>Sessions</h3>
        <${Sessions} memberId=${member.id} />
      </div>
    </${Window}>
  `;
}

const NewLink = ({ name, link, close }) => {
  const [copied, setCopied] = useState(false);
  return html`
    <${Window} title="A new link for ${name}" unsaved=${!copied} mayDrop=${mayLose} onLeave=${() => close()}>
      <${OneTimeLink} name=${name} link=${link} onCopy=${() => setCopied(true)} />
      <footer><${LeaveButton} look="primary">Done</${LeaveButton}></footer>
    </${Window}>
  `;
};

const isMe = (member) => member.id === me.value?.member?.id;

/** What can be done with a member, and beside it why it was refused. */
function MemberActions({ member, reload }) {
  const [busy, run, error] = useAction();
  const { id, name, disabledAt } = member;
  const edit = async () => {
    if (await open(EditMember, { member })) reload();
  };
  const turn = async () => {
    const text = `${name} can no longer sign in, and all sessions and personal tokens of ${name} end. Histories keep the name, and you can enable ${name} again.`;
    if (!disabledAt && !(await confirm(`Disable ${name}?`, text, "Disable", "danger"))) return;
    run(async () => {
      await done(UPDATE_MEMBER, { id, disabled: !disabledAt });
      say(`${name} is ${disabledAt ? "enabled" : "disabled"}.`);
      reload();
    });
  };
  const reset = async () => {
    const text = `The password of ${name} no longer works, and all sessions end. You get a new link for ${name}.`;
    if (!(await confirm(`Reset ${name}?`, text, "Reset", "danger"))) return;
    run(async () => {
      const { link } = await done(RESET_MEMBER, { id });
      await open(NewLink, { name, link });
      reload();
    });
  };
  return html`
    <span class="buttons">
      <${Button} look="small" onClick=${edit} aria-label="Edit ${name}">Edit</${Button}>
      ${!disabledAt && html`<${Button} look="small" busy=${busy} onClick=${reset} aria-label="Reset ${name}">Reset</${Button}>`}
      <${Button} look="small" busy=${busy} onClick=${turn} aria-label="${disabledAt ? "Enable" : "Disable"} ${name}">${disabledAt ? "Enable" : "Disable"}</${Button}>
    </span>
    <span class="error" role="alert">${error}</span>
  `;
}

function SignInState({ member }) {
  if (member.disabledAt) return html`<${Badge}>Disabled</${Badge}> <span class="second">since <${Day} at=${member.disabledAt} /></span>`;
  if (member.hasPassword) return html`<${Badge} tone="ok">Can sign in</${Badge}>`;
  return html`<${Badge} tone="warning">No password</${Badge}> <span class="second">has a link or an identity provider</span>`;
}

const MemberRow = ({ member, reload }) => html`
  <tr>
    <th scope="row">${member.name}${isMe(member) && html` <span class="second-inline">(you)</span>`}<span class="second">${member.email ?? "No e-mail address"}</span></th>
    <td class="whole" data-label="Role">${roleName(member.role)}</td>
    <td data-label="Sign-in"><${SignInState} member=${member} /></td>
    <td class="whole" data-label="Added"><${Day} at=${member.createdAt} /></td>
    <td class="wide acts"><${MemberActions} member=${member} reload=${reload} /></td>
  </tr>
`;

export function MembersSettings() {
  const list = useList(MEMBERS, {}, (data) => data.members);
  const invite = async () => {
    if (await open(Invite)) list.reload();
  };
  return html`
    <div class="section-row">
      <p class="second">The people who may sign in. Members are disabled and not deleted, so that histories keep their names.</p>
      <${Button} look="primary" icon="plus" onClick=${invite}>Invite</${Button}>
    </div>
    <${Pending} list=${list} />
    ${list.nodes &&
    html`
      <table class="cards flow">
        <caption class="unseen">Members</caption>
        <thead><tr><th scope="col">Name</th><th scope="col">Role</th><th scope="col">Sign-in</th><th scope="col">Added</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
        <tbody>${list.nodes.map((member) => html`<${MemberRow} key=${member.id} member=${member} reload=${list.reload} />`)}</tbody>
      </table>
      ${(list.hasMore || list.total > 10) && html`<${More} list=${list} />`}
    `}
  `;
}
