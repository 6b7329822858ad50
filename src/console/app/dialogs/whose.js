// The windows in which a member decides whose an account is, what uses it, and who is responsible for it.

import { useEffect, useState } from "../../vendor/hooks.js";
import { change, done } from "../api.js";
import { useQuery } from "../data.js";
import { nameOf } from "../format.js";
import { html } from "../lib.js";
import { confirm, LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../ui/fields.js";
import { findPeople, personFound } from "../ui/find.js";
import { Finder, Picked } from "../ui/finder.js";
import { Button, Failure, Loading, say } from "../ui/parts.js";
import { isPinned, Why } from "../ui/person.js";

const ACCOUNT = `query Account($id: ID!) { node(id: $id) { ... on User {
  id kind owner { id displayName email state }
  link { state rule evidence suggestions(limit: 5) { person { id displayName email state } } }
} } }`;
const LINK_ACCOUNT = `mutation LinkAccount($input: LinkAccountInput!) {
  linkAccount(input: $input) { user { id } userErrors { code field message } }
}`;
const UNLINK_ACCOUNT = `mutation UnlinkAccount($input: UnlinkAccountInput!) {
  unlinkAccount(input: $input) { user { id person { id displayName email } } userErrors { code field message } }
}`;
const RESET_LINK = `mutation ResetLink($input: ResetLinkInput!) {
  resetLink(input: $input) { user { id person { id displayName email } } userErrors { message } }
}`;
const SET_KIND = `mutation SetKind($input: SetAccountKindInput!) {
  setAccountKind(input: $input) { user { id } userErrors { message } }
}`;
const SET_OWNER = `mutation SetOwner($input: SetOwnerInput!) {
  setOwner(input: $input) { user { id } userErrors { message } }
}`;
const LONGEST_REASON = 500;

/** Who uses an account, in words. "" is to believe the application. */
const USES = { HUMAN: "A person", SERVICE: "A program", SHARED: "Several people", "": "As the application says it" };

/** What is known of an account, in a window with this title. `content` gets it as `account`. */
function Opened({ title, user, content, close }) {
  const { data, error, reload } = useQuery(ACCOUNT, { id: user.id });
  const [isEdited, setEdited] = useState(false);
  // What happens meanwhile does not replace what is being typed.
  const [account, setAccount] = useState(null);
  useEffect(() => {
    if (data?.node) setAccount((before) => before ?? data.node);
  }, [data]);
  const gone = data && !data.node && html`<p>This account is gone.</p>`;
  return html`
    <${Window} title=${title} second="${nameOf(user)}, ${user.instance.name}" unsaved=${isEdited} onLeave=${() => close(false)}>
      ${account
        ? html`<${content} user=${user} account=${account} onEdit=${setEdited} close=${close} />`
        : (gone || (error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${3} />`))}
    </${Window}>
  `;
}

const ReasonField = ({ value, error, onInput }) => html`
  <${TextField} label="Reason" optional help="It is shown beside the account." maxlength=${LONGEST_REASON} value=${value} error=${error} onInput=${onInput} />
`;

function Suggestions({ found, onPick }) {
  if (!found.length) return null;
  return html`
    <div class="field">
      <h3>Suggestions</h3>
      <p class="second">These people have the same name, or an address that is alike. A name alone links nothing.</p>
      <ul class="list">
        ${found.map((one) => html`
          <li key=${one.id}><span class="grow">${one.name} <span class="second">${one.second}</span></span><${Button} look="small" aria-label="Choose ${one.name}" onClick=${() => onPick(one)}>Choose</${Button}></li>
        `)}
      </ul>
    </div>
  `;
}

function LinkForm({ user, account, onEdit, close }) {
  const [picked, setPicked] = useState(null);
  const [reason, setReason] = useState("");
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const isEdited = picked !== null || reason !== "";
  useEffect(() => onEdit(isEdited), [isEdited]);
  const pick = (one) => {
    setPicked(one);
    setErrors({});
  };
  const submit = (event) => {
    event.preventDefault();
    if (!picked) return setErrors({ personId: "Choose a person." });
    run(async () => {
      const { userErrors } = await change(LINK_ACCOUNT, { userId: user.id, personId: picked.id, reason: reason.trim() || null });
      const { errors: found, rest } = byField(userErrors, ["personId", "reason"]);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(`“${nameOf(user)}” is ${picked.name}'s now.`);
      close(true);
    });
  };
  const isNobodys = async () => {
    if (await setOwner(user)) close(true);
  };
  return html`
    <form ref=${form} novalidate onSubmit=${submit}>
      <p><${Why} link=${account.link} /></p>
      <${Suggestions} found=${account.link?.suggestions.map(({ person }) => personFound(person)) ?? []} onPick=${pick} />
      <${Finder} label="Person" placeholder="Name or e-mail…" find=${findPeople} onPick=${pick} error=${errors.personId ?? ""} />
      <${Picked} chosen=${picked ? [picked] : []} onRemove=${() => setPicked(null)} />
      <${ReasonField} value=${reason} error=${errors.reason ?? ""} onInput=${setReason} />
      <p class="error" role="alert">${error}</p>
      <footer>
        <${Button} look="quiet" onClick=${isNobodys}>No person uses it…</${Button}>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <${Button} look="primary" type="submit" busy=${busy}>Link</${Button}>
      </footer>
    </form>
  `;
}

/** Whose an account is after a decision, in words. */
const told = (user, person) => (person ? `“${nameOf(user)}” is ${nameOf(person)}'s.` : `“${nameOf(user)}” is nobody's now.`);

function UnlinkForm({ user, account, onEdit, close }) {
  const [reason, setReason] = useState("");
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const isGiven = isPinned(account);
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      const { user: now, userErrors } = await change(UNLINK_ACCOUNT, { userId: user.id, reason: reason.trim() || null });
      const { errors: found, rest } = byField(userErrors, ["reason"]);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(told(user, now.person));
      close(true);
    });
  };
  return html`
    <form ref=${form} novalidate onSubmit=${submit}>
      <p><${Why} link=${account.link} /></p>
      <p>
        ${isGiven
          ? "The rules decide again, and the account is whose it was before."
          : "The account is nobody's from now on, also after the next syncs, until somebody links or resets it."}
      </p>
      ${!isGiven && html`<${ReasonField} value=${reason} error=${errors.reason ?? ""} onInput=${(text) => (setReason(text), onEdit(text !== ""))} />`}
      <p class="error" role="alert">${error}</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <${Button} look="danger" type="submit" busy=${busy}>Unlink</${Button}>
      </footer>
    </form>
  `;
}

function OwnerForm({ user, account, onEdit, close }) {
  const before = { kind: account.kind ?? "", owner: account.owner && personFound(account.owner) };
  const [kind, setKind] = useState(before.kind);
  const [owner, setPicked] = useState(before.owner);
  const [busy, run, error] = useAction();
  const isEdited = kind !== before.kind || owner?.id !== before.owner?.id;
  useEffect(() => onEdit(isEdited), [isEdited]);
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      if (kind !== before.kind) await done(SET_KIND, { userId: user.id, kind: kind || null });
      if (owner?.id !== before.owner?.id) await done(SET_OWNER, { userId: user.id, personId: owner?.id ?? null });
      say(`“${nameOf(user)}” is saved.`);
      close(true);
    });
  };
  return html`
    <form novalidate onSubmit=${submit}>
      <${Field}
        label="Used by"
        help="The account of a program, or of several people, stands for no person."
        control=${(attributes) => html`
          <select ...${attributes} value=${kind} onChange=${({ target }) => setKind(target.value)}>
            ${Object.entries(USES).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
          </select>
        `}
      />
      <${Finder} label="Owner" placeholder="Name or e-mail…" find=${findPeople} onPick=${setPicked} />
      <${Picked} chosen=${owner ? [owner] : []} onRemove=${() => setPicked(null)} />
      <p class="second">The owner is responsible for the account. It does not become an account of this person.</p>
      <p class="error" role="alert">${error}</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <${Button} look="primary" type="submit" busy=${busy}>Save</${Button}>
      </footer>
    </form>
  `;
}

/** Gives an account to a person. `user` has its `instance`. Resolves to true if something was changed. */
export const linkAccount = (user) => open(Opened, { title: "Link to a person", user, content: LinkForm });

/** Takes an account from its person. */
export const unlinkAccount = (user) => open(Opened, { title: "Unlink this account?", user, content: UnlinkForm });

/** Sets what uses an account, and who is responsible for it. */
export const setOwner = (user) => open(Opened, { title: "Use and owner", user, content: OwnerForm });

/** Lets the rules decide whose an account is. Returns whether they do. */
export async function resetLink(user) {
  const text = "What members have decided about this account is forgotten, and the rules decide whose it is.";
  if (!(await confirm(`Reset “${nameOf(user)}”?`, text, "Reset"))) return false;
  const { user: now } = await done(RESET_LINK, { userId: user.id });
  say(told(user, now.person));
  return true;
}
