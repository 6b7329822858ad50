// The API token that a person entered instead of signing in. It stays in this tab.

import { effect, signal } from "../vendor/signals.js";

const KEY = "muster.token";

export const token = signal(sessionStorage.getItem(KEY));

effect(() => {
  if (token.value) sessionStorage.setItem(KEY, token.value);
  else sessionStorage.removeItem(KEY);
});
