interface Window {
  /** The operation that asks who is signed in, and for the position in the log of events. */
  startQuery: string;
  /** The answer to what `start.js` asks, until it was read; null if there was none, "nobody" if nobody is signed in. */
  started?: Promise<Response | "nobody" | null> | null;
}
