// The instances that a token is limited to, in words.

import { useLoad } from "../data.js";
import { count, listed } from "../format.js";
import { namesOf } from "./find.js";

/** So many instances are named. */
const NAMED = 3;

/** The names of the instances of some scopes, each of which may be null. */
export function useNames(scopes) {
  const ids = [...new Set(scopes.flatMap((scope) => scope?.instanceIds.slice(0, NAMED) ?? []))];
  const load = (signal) => (ids.length ? namesOf(ids, signal) : Promise.resolve(new Map()));
  return useLoad(load, JSON.stringify(ids)).data;
}

/** What a scope contains. `names` are those of `useNames`. */
export function Scope({ scope, names }) {
  if (!scope) return "Everything";
  const { integrationKeys, instanceIds } = scope;
  const named = instanceIds.slice(0, NAMED).map((id) => names?.get(id) ?? null).filter(Boolean);
  const rest = instanceIds.length - named.length;
  const parts = [...integrationKeys.map((key) => `all of ${key}`), ...named];
  if (rest > 0) parts.push(named.length ? `${rest} more` : count(rest, "instance"));
  return listed(parts);
}
