// Signing in: with a password, an identity provider, an API token, or a one-time link.

import { useEffect, useId, useRef, useState } from "../../vendor/hooks.js";
import { html } from "../lib.js";
import { path, ROOT, search } from "../router.js";
import { followLink, gate, provider, signIn, useToken } from "../session.js";
import { useAction } from "../ui/dialog.js";

const TITLES = { "sign-in": "Sign in", "set-up": "Become the first administrator", "set-password": "Choose a password" };

function Entry({ label, help = null, ...rest }) {
  const id = useId();
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input id=${id} aria-describedby=${help ? `${id}-help` : null} required ...${rest} />
      ${help && html`<small id="${id}-help">${help}</small>`}
    </div>
  `;
}

/**
 * The values of a form by the names of its fields.
 * @returns {Record<string, any>}
 */
const entered = (event) => {
  event.preventDefault();
  return Object.fromEntries(new FormData(event.target));
};

function Password({ run, busy }) {
  const submit = (event) => {
    const { email, password } = entered(event);
    run(() => signIn(email.trim(), password));
  };
  return html`
    <form onSubmit=${submit}>
      <${Entry} label="E-mail address" name="email" type="email" autocomplete="username" />
      <${Entry} label="Password" name="password" type="password" autocomplete="current-password" />
      <button type="submit" class="primary" aria-disabled=${busy ? "true" : null}>Sign in</button>
    </form>
  `;
}

function Token({ run, busy }) {
  const submit = (event) => {
    const { token } = entered(event);
    run(() => useToken(token.trim()));
  };
  return html`
    <details>
      <summary>Use an API token</summary>
      <form onSubmit=${submit}>
        <${Entry} label="API token" name="token" type="password" autocomplete="off" spellcheck="false" help="It stays in this tab until you sign out or close it." />
        <button type="submit" aria-disabled=${busy ? "true" : null}>Use the token</button>
      </form>
    </details>
  `;
}

function Follow({ page, run, busy }) {
  const submit = (event) => {
    const values = entered(event);
    run(() => followLink(values));
  };
  return html`
    <form onSubmit=${submit}>
      ${page === "set-up" &&
      html`
        <${Entry} label="Your name" name="name" autocomplete="name" maxlength="100" />
        <${Entry} label="E-mail address, to sign in with" name="email" type="email" autocomplete="username" />
      `}
      <${Entry}
        label="New password"
        name="password"
        type="password"
        autocomplete="new-password"
        minlength="12"
        help="At least 12 characters. A few words in a row are easy to remember and hard to guess."
      />
      <button type="submit" class="primary" aria-disabled=${busy ? "true" : null}>Save and sign in</button>
    </form>
  `;
}

export function SignInPage() {
  const { page, message } = gate.value;
  const [busy, run, error] = useAction();
  const [label, setLabel] = useState(null);
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${TITLES[page]} – Muster`;
    heading.current?.focus();
  }, [page]);
  useEffect(() => {
    provider().then(setLabel);
  }, []);
  const query = search.value.toString();
  const back = encodeURIComponent(`/${path.value}${query && `?${query}`}`);
  return html`
    <main class="gate">
      <p class="brand"><span class="brand-mark" aria-hidden="true">M</span>Muster</p>
      <h1 ref=${heading} tabindex="-1">${TITLES[page]}</h1>
      <p class="error" role="alert">${error || message}</p>
      ${page !== "sign-in"
        ? html`<${Follow} page=${page} run=${run} busy=${busy} />`
        : html`
            ${label && html`<p><a class="button" data-leaves href="${ROOT}auth/oidc/start?return=${back}">${label}</a></p>`}
            <${Password} run=${run} busy=${busy} />
            <${Token} run=${run} busy=${busy} />
          `}
    </main>
  `;
}
