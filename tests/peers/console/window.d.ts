interface Window {
  /** The answer to what `start.js` asks, until it was read; null if there was none, "nobody" if nobody is signed in. */
  started?: Promise<Response | "nobody" | null> | null;
}
