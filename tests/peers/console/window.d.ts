interface Window {
  /** The answer to what `start.js` asks, until it was read; null if there was none. */
  started?: Promise<Response | null> | null;
}
