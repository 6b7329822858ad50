// The API client: queries and mutations over HTTP, subscriptions over one WebSocket.

const ENDPOINT = new URL("graphql", document.baseURI);
/** Longer than the 20 seconds that the server waits for an application. */
const REQUEST_TIMEOUT_MS = 30_000;
const SILENCE_MS = 40_000;
const PING_MS = 15_000;
const MAX_RETRY_WAIT_MS = 30_000;

/** A failed request. `code` is the `extensions.code` of the first error, `UNAUTHENTICATED` or `UNREACHABLE`. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** Runs a query or a mutation and returns its `data`. Without a token, the session's cookie counts. `signal` aborts it. */
export async function request(token, query, variables = {}, signal = null) {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response;
  try {
    response = await fetch(ENDPOINT, {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json",
        ...authorization(token),
        "content-type": "application/json",
      },
      body: JSON.stringify({ query, variables }),
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The server cannot be reached.", "UNREACHABLE");
  }
  if (response.status === 401) throw new ApiError(ended(token), "UNAUTHENTICATED");
  const answer = await response.json().catch(() => null);
  const refusal = answer?.errors?.[0];
  if (refusal) throw new ApiError(refusal.message ?? "The server refused.", refusal.extensions?.code);
  if (!response.ok || !answer?.data) throw new ApiError(`The server answered with status ${response.status}.`);
  return answer.data;
}

const authorization = (token) => (token ? { authorization: `Bearer ${token}` } : {});
const ended = (token) => (token ? "The token is not valid (any more)." : "You are signed out. Sign in again.");

/**
 * Subscriptions (graphql-transport-ws) that reconnect after a lost connection. `subscriptions()`
 * is called for each new connection, so that it can resume from the last cursor. It returns a list
 * of `{ query, variables, next(data), failed() }`. `changed({ state, message, retryAt })` reports
 * the state of the connection: `connecting`, `live`, `lost`, or `refused` (no further attempts).
 */
export class Live {
  #token;
  #subscriptions;
  #changed;
  #socket = null;
  #attempts = 0;
  #timers = new Set();
  #stopped = false;

  constructor(token, subscriptions, changed) {
    this.#token = token;
    this.#subscriptions = subscriptions;
    this.#changed = changed;
    this.connect();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
  }

  /** Connects now, even while waiting for the next attempt. */
  connect() {
    if (this.#stopped) return;
    this.#drop();
    this.#changed({ state: "connecting" });
    const url = new URL(ENDPOINT);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, "graphql-transport-ws");
    this.#socket = socket;
    const subscriptions = this.#subscriptions();
    let heard = Date.now();
    const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

    socket.onopen = () => send({ type: "connection_init", payload: authorization(this.#token) });
    socket.onmessage = ({ data }) => {
      heard = Date.now();
      const message = JSON.parse(data);
      switch (message.type) {
        case "connection_ack":
          subscriptions.forEach(({ query, variables }, index) =>
            send({ id: String(index), type: "subscribe", payload: { query, variables } }),
          );
          this.#changed({ state: "live" });
          break;
        case "next":
          this.#attempts = 0;
          if (message.payload.data) subscriptions[message.id]?.next(message.payload.data);
          if (message.payload.errors) this.#lose(message.payload.errors[0].message);
          break;
        case "error":
          subscriptions[message.id]?.failed?.();
          this.#lose(message.payload?.[0]?.message ?? "The server refused the subscription.");
          break;
        case "complete":
          this.#lose("The server ended the subscription.");
          break;
        case "ping":
          send({ type: "pong" });
          break;
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (code === 4401 || code === 4403) {
        this.stop();
        this.#changed({ state: "refused", message: ended(this.#token) });
      } else {
        this.#lose(reason);
      }
    };
    this.#repeat(PING_MS, () => {
      if (Date.now() - heard > SILENCE_MS) this.#lose("The server stopped responding.");
      else send({ type: "ping" });
    });
  }

  /** Drops the connection and reconnects after a growing wait with jitter. */
  #lose(message) {
    if (this.#stopped) return;
    this.#drop();
    const wait = Math.min(MAX_RETRY_WAIT_MS, 500 * 2 ** this.#attempts) * (0.5 + Math.random() / 2);
    this.#attempts = Math.min(this.#attempts + 1, 10);
    this.#changed({ state: "lost", message, retryAt: Date.now() + wait });
    const timer = setTimeout(() => this.connect(), wait);
    this.#timers.add(() => clearTimeout(timer));
  }

  #repeat(interval, action) {
    const timer = setInterval(action, interval);
    this.#timers.add(() => clearInterval(timer));
  }

  #drop() {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}
