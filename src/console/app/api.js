// Requests to the API over HTTP.

import { token } from "./token.js";

/** Longer than the 20 seconds that the server waits for an application. */
const PATIENCE = 30_000;

/**
 * A failed request. `code` is the `extensions.code` of its first error, `UNAUTHENTICATED` or `UNREACHABLE`. `retryAfter` is
 * how many seconds the server wants to be left alone.
 */
export class ApiError extends Error {
  constructor(message, code = null, retryAfter = 0) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The codes of what would fail again for the same reason. */
const LASTING = new Set([
  "BAD_REQUEST",
  "BAD_USER_INPUT",
  "FORBIDDEN",
  "UNAUTHENTICATED",
  "NOT_FOUND",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "QUERY_TOO_COMPLEX",
  "ANSWER_TOO_LARGE",
]);

/** Whether what failed may succeed by itself later. */
export const isPassing = (error) => !LASTING.has(error.code);

/** Called when the server no longer accepts the session or token. */
/** @type {(message: string) => void} */
let refused = () => {};
export function onRefusal(call) {
  refused = call;
}

/** The headers that say who asks. Without a token, the cookie of the session counts. */
export const authorization = () => (token.value ? { authorization: `Bearer ${token.value}` } : {});

let hidesPeople = false;
/** Whether what names a person is left out of all queries, because the role does not show it. */
export function hidePeople(hides) {
  hidesPeople = hides;
}

/** A query as the role may ask it. What names a person stands on lines of their own, which end with `# person`. */
export const permitted = (query) => (hidesPeople ? query.replace(/^.*# person$/gm, "") : query);

/** What was asked before anybody waited for it: answers by query and variables. An event makes them old. */
export const early = new Map();
const EARLY_ENOUGH = 5_000;
const keyOf = (query, variables) => JSON.stringify([query, variables]);

/** Asks for what a part of the page will ask for in a moment, so that it does not wait for the rest first. */
export function askEarly(query, variables = {}) {
  const key = keyOf(query, variables);
  if (early.has(key)) return;
  const answer = ask(query, variables);
  answer.catch(() => early.delete(key));
  early.set(key, answer);
  setTimeout(() => early.get(key) === answer && early.delete(key), EARLY_ENOUGH);
}

/** Runs a query or a mutation, and returns its `data`. `signal` cancels it. */
export async function ask(query, variables = {}, signal = null) {
  const key = keyOf(query, variables);
  const known = early.get(key);
  if (known) {
    early.delete(key);
    return known;
  }
  const asked = token.value;
  const timeout = AbortSignal.timeout(PATIENCE);
  let response;
  try {
    response = await fetch(new URL("graphql", document.baseURI), {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json",
        "content-type": "application/json",
        ...authorization(),
      },
      body: JSON.stringify({ query: permitted(query), variables }),
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The server cannot be reached.", "UNREACHABLE");
  }
  return answered(response, asked);
}

/** The `data` of an answer. `asked` is the token with which it was asked for. */
export async function answered(response, asked) {
  const answer = await response.json().catch(() => null);
  const error = answer?.errors?.[0];
  if (response.status === 401) {
    const message = asked
      ? "This token is not accepted. It may be mistyped, or revoked."
      : "You are signed out. Sign in again.";
    if (asked === token.value) refused(message);
    throw new ApiError(message, "UNAUTHENTICATED");
  }
  const wait = Number(error?.extensions?.retryAfter ?? response.headers.get("retry-after")) || 0;
  if (error) throw new ApiError(error.message ?? "The server refused this.", error.extensions?.code, wait);
  if (response.status >= 502 || !answer) throw new ApiError("The server cannot be reached.", "UNREACHABLE", wait);
  if (!response.ok || !answer.data) throw new ApiError(`The server answered with status ${response.status}.`, null, wait);
  return answer.data;
}

/** Runs a mutation with one field, and returns the payload of that field. */
export async function change(mutation, input) {
  const data = await ask(mutation, { input });
  return Object.values(data)[0];
}

/** The same. What was refused is an error. */
export async function done(mutation, input) {
  const payload = await change(mutation, input);
  if (payload.userErrors.length) throw new Error(payload.userErrors.map(({ message }) => message).join(" "));
  return payload;
}

/** Requests to routes beside the API. Throws an error with a message for a person. */
export async function call(to, options = {}) {
  const response = await fetch(new URL(to, document.baseURI), { ...options, credentials: "same-origin" }).catch(() => null);
  if (!response) throw new ApiError("The server cannot be reached.", "UNREACHABLE");
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new ApiError(answer?.errors?.[0]?.message ?? `The server answered with status ${response.status}.`);
}
