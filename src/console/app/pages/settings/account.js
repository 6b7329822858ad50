// The account of the caller: who it is, the theme, the password, and the open sessions.

import { useState } from "../../../vendor/hooks.js";
import { change } from "../../api.js";
import { useQuery } from "../../data.js";
import { html } from "../../lib.js";
import { me } from "../../session.js";
import { useAction, useGuard } from "../../ui/dialog.js";
import { byField, TextField, useFirstError } from "../../ui/fields.js";
import { Icon } from "../../ui/icon.js";
import { Button, say } from "../../ui/parts.js";
import { ROLES } from "../../ui/roles.js";
import { Scope, useNames } from "../../ui/scope.js";
import { Sessions } from "../../ui/sessions.js";

const MY_ACCOUNT = "query MyAccount { me { member { id hasPassword } } }";
const CHANGE_PASSWORD = `mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) { userErrors { code field message } }
}`;
const THEME = "muster.theme";
const THEMES = [
  ["system", "System", "monitor"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

function Who() {
  const { name, email, role, scope, member } = me.value;
  const [title, allows] = ROLES[role];
  const names = useNames([scope]);
  return html`
    <dl class="facts">
      <div><dt>Name</dt><dd>${name}</dd></div>
      <div><dt>E-mail address</dt><dd>${email ?? html`<span class="unknown">None</span>`}</dd></div>
      <div><dt>Role</dt><dd>${title}<small>${scope ? "For what it is limited to." : allows}</small></dd></div>
      ${scope && html`<div><dt>Limited to</dt><dd><${Scope} scope=${scope} names=${names} /></dd></div>`}
      <div><dt>Signed in with</dt><dd>${member ? "An account of a member" : "An API token, in this tab only"}</dd></div>
    </dl>
  `;
}

function Theme() {
  const [theme, setTheme] = useState(() => localStorage.getItem(THEME) ?? "system");
  const choose = (chosen) => {
    setTheme(chosen);
    if (chosen === "system") {
      localStorage.removeItem(THEME);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(THEME, chosen);
      document.documentElement.dataset.theme = chosen;
    }
  };
  return html`
    <section aria-labelledby="theme-heading">
      <h2 id="theme-heading">Theme</h2>
      <fieldset class="choices">
        <legend class="unseen">Theme</legend>
        ${THEMES.map(
          ([key, label, icon]) => html`
            <label class="choice">
              <input type="radio" name="theme" value=${key} checked=${key === theme} onChange=${() => choose(key)} />
              <${Icon} name=${icon} /> ${label}
            </label>
          `,
        )}
      </fieldset>
    </section>
  `;
}

const EMPTY_PASSWORDS = { currentPassword: "", newPassword: "" };

function PasswordForm({ onChanged }) {
  const [typed, setTyped] = useState(EMPTY_PASSWORDS);
  const [errors, setErrors] = useState({});
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  useGuard(Object.values(typed).some(Boolean));
  const submit = (event) => {
    event.preventDefault();
    const missing = Object.entries(typed).filter(([, value]) => value === "");
    if (missing.length) return setErrors(Object.fromEntries(missing.map(([key]) => [key, "This is required."])));
    run(async () => {
      const { userErrors } = await change(CHANGE_PASSWORD, typed);
      const { errors: found, rest } = byField(userErrors, Object.keys(EMPTY_PASSWORDS));
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      setTyped(EMPTY_PASSWORDS);
      say("Your password is changed. Your other sessions have ended.");
      onChanged();
    });
  };
  const field = (key, label, autocomplete, help = null) => html`
    <${TextField}
      label=${label}
      help=${help}
      type="password"
      autocomplete=${autocomplete}
      value=${typed[key]}
      error=${errors[key] ?? ""}
      onInput=${(value) => setTyped((before) => ({ ...before, [key]: value }))}
    />
  `;
  return html`
    <form ref=${form} class="narrow-form" novalidate onSubmit=${submit}>
      <input class="unseen" type="text" autocomplete="username" readonly tabindex="-1" aria-hidden="true" value=${me.value.email ?? ""} />
      ${field("currentPassword", "Current password", "current-password")}
      ${field("newPassword", "New password", "new-password", "At least 12 characters. A few words in a row are easy to remember and hard to guess.")}
      <p class="second">All of your other sessions end; this one stays.</p>
      <p class="error" role="alert">${error}</p>
      <p><${Button} look="primary" type="submit" busy=${busy}>Change password</${Button}></p>
    </form>
  `;
}

function SignedIn() {
  const { data } = useQuery(MY_ACCOUNT);
  const [version, setVersion] = useState(0);
  const hasPassword = data?.me.member?.hasPassword;
  return html`
    ${data &&
    html`<section aria-labelledby="password-heading">
      <h2 id="password-heading">Password</h2>
      ${hasPassword
        ? html`<${PasswordForm} onChanged=${() => setVersion(version + 1)} />`
        : html`<p class="second">You sign in without a password. An administrator can make a link with which you set one.</p>`}
    </section>`}
    <section aria-labelledby="sessions-heading">
      <h2 id="sessions-heading" tabindex="-1">Sessions</h2>
      <p class="second">Where you are signed in. A session ends when it was not used for 8 hours, and after 7 days.</p>
      <${Sessions} key=${version} />
    </section>
  `;
}

export const AccountSettings = () => html`
  <${Who} />
  <${Theme} />
  ${me.value.member && html`<${SignedIn} />`}
`;
