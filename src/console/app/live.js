// What happens while pages are open: the server's events over a WebSocket. Where there is none, pages ask again.

import { effect, signal } from "../vendor/signals.js";
import { ask, authorization, permitted } from "./api.js";
import { CURSOR, enter, me, startCursor } from "./session.js";
import { apply, applyProgress, forget, INSTANCE } from "./store.js";

const EVENTS = `subscription Events($after: String) {
  instanceStateChanged(after: $after) {
    cursor cause at usersRemoved instance { ...Row }
    actor # person
  }
} ${INSTANCE}`;
const PROGRESS = `subscription Progress {
  syncProgress { instanceId runId seen expected pages startedAt waitingFor waitingUntil }
}`;

const POLL = 10_000;
/** How often everything is asked again although it is live, for what becomes true by time alone. */
const SLOW_POLL = 60_000;
/** How long the server may take to accept a WebSocket. */
const PATIENCE = 10_000;
const NO_ANSWER = "The server does not answer over a WebSocket.";
const KEEP_ALIVE = 10_000;
/** How long the server may leave a ping without an answer. */
const SILENCE = 8_000;
const LONGEST_WAIT = 30_000;
/** After this time, the server has refused no subscription. */
const STEADY = 1_000;
/** The code with which the server ends a WebSocket because of who asks. */
const NOT_SIGNED_IN = 4401;

/**
 * How the page keeps itself true: `live`, `reconnecting`, `polling` (asking every ten seconds, because there is no
 * WebSocket), or `lost` (the server cannot be reached). `why` says why it is not live.
 */
export const connection = signal({ state: "reconnecting", why: "" });

const eventListeners = new Set();
const pollListeners = new Set();

/** Calls `listener(event)` for each event. Returns a function that ends this. */
export function onEvent(listener) {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

/** Calls `listener()` when everything should be asked again. Returns a function that ends this. */
export function onPoll(listener) {
  pollListeners.add(listener);
  return () => pollListeners.delete(listener);
}

const pause = (ms) => new Promise((later) => setTimeout(later, ms));
const askAgain = () => pollListeners.forEach((listener) => listener());

/** One sign-in's connection. */
class Connection {
  #cursor = startCursor.peek();
  #failures = 0;
  #client = null;
  #stopped = false;
  #wait = null;

  async run() {
    while (!this.#stopped) {
      const why = await this.#connect().catch((error) => error.message);
      if (this.#stopped) return;
      this.#failures += 1;
      await this.#fallBack(why);
    }
  }

  stop() {
    this.#stopped = true;
    this.#client?.dispose();
    this.#wait?.abort();
  }

  /** Ends the connection. The next attempt begins in a moment, or when the page is shown again. */
  drop() {
    this.#client?.dispose();
  }

  /** Ends the wait for the next attempt. */
  wake() {
    this.#wait?.abort();
  }

  /** Follows the events until the connection is lost. Returns why. */
  async #connect() {
    if (this.#failures < 3) connection.value = { state: "reconnecting", why: "" };
    const { createClient } = await import("../vendor/graphql-ws.js");
    if (this.#cursor === null) {
      // The cursor comes first, and pages then ask again, so that nothing is missed between the two.
      this.#cursor = (await ask(CURSOR)).eventCursor;
      askAgain();
    }
    const url = new URL("graphql", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return new Promise((lost) => {
      let silence = null;
      let steady = null;
      const giveUp = () => {
        lost(NO_ANSWER);
        client.terminate();
      };
      const patience = setTimeout(giveUp, PATIENCE);
      const isLive = () => (connection.value = { state: "live", why: "" });
      const client = createClient({
        url: url.href,
        lazy: false,
        retryAttempts: 0,
        keepAlive: KEEP_ALIVE,
        connectionParams: authorization,
        onNonLazyError: () => {},
        on: {
          connected: () => {
            clearTimeout(patience);
            if (this.#failures < 3) isLive();
            steady = setTimeout(() => {
              this.#failures = 0;
              isLive();
            }, STEADY);
          },
          ping: (received) => {
            if (!received) silence = setTimeout(giveUp, SILENCE);
          },
          pong: (received) => received && clearTimeout(silence),
          closed: (event) => {
            const { code, reason } = /** @type {CloseEvent} */ (event);
            [patience, silence, steady].forEach(clearTimeout);
            if (code === NOT_SIGNED_IN) enter();
            lost(reason);
          },
        },
      });
      this.#client = client;
      const ended = (error) => {
        const message = Array.isArray(error) ? error[0]?.message : null;
        // The events after the cursor are no longer known.
        if (message) this.#cursor = null;
        client.dispose();
        lost(message ?? "");
      };
      const sink = (next) => ({
        next: ({ data, errors }) => (errors ? ended(errors) : next(data)),
        error: ended,
        complete: () => ended(null),
      });
      client.subscribe({ query: permitted(EVENTS), variables: { after: this.#cursor } }, sink((data) => this.#take(data)));
      client.subscribe({ query: PROGRESS }, sink(({ syncProgress }) => applyProgress(syncProgress)));
    });
  }

  #take({ instanceStateChanged: event }) {
    this.#cursor = event.cursor;
    apply(event);
    // A snapshot comes when the events since the cursor are no longer known.
    if (event.cause === "SNAPSHOT") askAgain();
    else eventListeners.forEach((listener) => listener(event));
  }

  /** Waits for the next attempt. Meanwhile, pages ask again every ten seconds. */
  async #fallBack(why) {
    const { signal } = (this.#wait = new AbortController());
    const woken = new Promise((wake) => signal.addEventListener("abort", wake));
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    const until = Date.now() + wait;
    while (!signal.aborted && Date.now() < until) {
      if (this.#failures >= 3) await this.#look(why, signal);
      await Promise.race([pause(Math.min(POLL, until - Date.now())), woken]);
      if (this.#failures < 3) return;
    }
  }

  async #look(why, signal) {
    try {
      await ask(CURSOR, {}, signal);
      this.#cursor = null;
      connection.value = { state: "polling", why: why || "The browser cannot open a WebSocket to the server." };
      askAgain();
    } catch (error) {
      if (signal.aborted) return;
      connection.value = { state: "lost", why: error.message };
    }
  }
}

let current = null;

/** Tries to connect now. */
export const reconnect = () => current?.wake();

let asked = Date.now();
/** Asks everything again, if that was long ago and somebody looks. */
function askSlowly() {
  if (document.hidden || connection.peek().state !== "live" || Date.now() - asked < SLOW_POLL) return;
  asked = Date.now();
  askAgain();
}

/** Follows the events while somebody is signed in. */
export function startLive() {
  effect(() => {
    if (!me.value) {
      current?.stop();
      current = null;
      forget();
    } else if (!current) {
      current = new Connection();
      current.run();
    }
  });
  setInterval(askSlowly, POLL);
  document.addEventListener("visibilitychange", askSlowly);
  window.addEventListener("online", reconnect);
  // The browser may keep the page for when a person goes back to it, but no connection.
  window.addEventListener("pagehide", () => current?.drop());
  window.addEventListener("pageshow", ({ persisted }) => persisted && reconnect());
}
