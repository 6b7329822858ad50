// A long list of instances. Parts of it are loaded where somebody looks, in whatever order.

import { useEffect, useMemo, useRef, useState } from "../../vendor/hooks.js";
import { ask, askEarly } from "../api.js";
import { Plan } from "../data.js";
import { onEvent, onPoll } from "../live.js";
import { INSTANCE, remember } from "../store.js";

const INSTANCES_IN_ORDER = `query Instances($filter: InstanceFilter, $orderBy: InstanceOrder, $first: Int, $offset: Int) {
  instances(filter: $filter, orderBy: $orderBy, first: $first, offset: $offset) {
    totalCount totalCountIsExact pageInfo { hasNextPage } nodes { ...Row }
  }
} ${INSTANCE}`;
/** How many rows are loaded at once. */
const PART = 50;
/** The maximum of the API's `offset`, and a part. Further rows are found by search and filters. */
const LONGEST = 100_000 + PART;
/** How long events are gathered before the list is asked again. */
const GATHERED = 500;

const partOf = (filter, orderBy, number) => ({ filter, orderBy, first: PART, offset: number * PART });

/** Asks for the beginning of a list that is shown in a moment. */
export const askInstancesEarly = (filter, orderBy) => askEarly(INSTANCES_IN_ORDER, partOf(filter, orderBy, 0));

class InstanceList {
  /** What is known: `{ length, total, exact }`, or null before the first part. */
  rows = null;
  error = null;
  #filter;
  #orderBy;
  /** The ids of each part that was loaded, by its number. */
  #parts = new Map();
  /** The parts that have to be loaded again. Until then, what they had stays. */
  #old = new Set();
  /** The numbers of the parts that somebody looks at. */
  #looked = [0, 0];
  #isRunning = false;
  #plan = new Plan(() => this.reload());
  #asked = new AbortController();
  #changed = () => {};

  constructor(filter, orderBy) {
    this.#filter = filter;
    this.#orderBy = orderBy;
  }

  /** Begins to load, and calls `changed` when there is something new. Returns a function that ends this. */
  start(changed) {
    this.#changed = changed;
    this.#asked = new AbortController();
    const ends = [onPoll(() => this.#plan.soon(GATHERED)), onEvent((event) => this.#matters(event) && this.#plan.soon(GATHERED))];
    this.reload();
    return () => {
      ends.forEach((end) => end());
      this.#plan.stop();
      this.#asked.abort();
    };
  }

  reload = () => {
    this.#plan.stop();
    this.#old = new Set(this.#parts.keys());
    this.#run();
  };

  /** The id at an index; undefined while it is not loaded. */
  at(index) {
    return this.#parts.get(Math.floor(index / PART))?.[index % PART];
  }

  /** Somebody looks at the rows between these indexes. */
  want(first, last) {
    this.#looked = [Math.floor(first / PART), Math.floor(last / PART)];
    if (this.rows && !this.error) this.#run();
  }

  /** Whether other rows may belong to the list after an event. */
  #matters({ cause, instance: { id, integration } }) {
    const { integrationKeys, headlines, needsAttention, stale } = this.#filter;
    const byState = headlines || needsAttention || stale;
    if (this.#parts.values().some((ids) => ids.includes(id))) return cause === "DELETED" || byState;
    if (integrationKeys && !integrationKeys.includes(integration.key)) return false;
    return cause === "CREATED" || cause === "DELETED" || byState;
  }

  /** The number of the next part that has to be loaded. */
  #next() {
    const [first, last] = this.#looked;
    const end = this.rows ? Math.ceil(this.rows.length / PART) : 1;
    for (let number = first; number <= Math.min(last, end - 1); number += 1) {
      if (!this.#parts.has(number) || this.#old.has(number)) return number;
    }
    // A list that was empty may have rows now.
    return !this.rows || (this.#old.has(0) && end === 0) ? 0 : null;
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { signal } = this.#asked;
    try {
      for (let number = this.#next(); number !== null; number = this.#next()) await this.#load(number, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.#plan.failed(error);
      this.#changed();
    } finally {
      this.#isRunning = false;
    }
  }

  async #load(number, signal) {
    const variables = partOf(this.#filter, this.#orderBy, number);
    this.#old.delete(number);
    const { instances } = await ask(INSTANCES_IN_ORDER, variables, signal);
    signal.throwIfAborted();
    const { nodes, totalCount: total, totalCountIsExact: exact, pageInfo } = instances;
    remember(nodes);
    this.#parts.set(number, nodes.map(({ id }) => id));
    // What is not counted is at least the next part.
    const known = variables.offset + nodes.length + (pageInfo.hasNextPage ? PART : 0);
    const length = Math.min(exact ? total : Math.max(total, known, this.rows?.length ?? 0), LONGEST);
    this.#forgetBeyond(length);
    this.rows = { length, total, exact };
    this.error = null;
    this.#plan.succeeded();
    this.#changed();
  }

  #forgetBeyond(length) {
    for (const number of this.#parts.keys()) if (number * PART >= length && number > 0) this.#parts.delete(number);
  }
}

/**
 * The instances that match: `{ rows, at(index), error, isOld, want(first, last), reload() }`. While another filter or order is
 * loaded, the rows before it stay, and `isOld` is true.
 */
export function useInstanceList(filter, orderBy) {
  const key = JSON.stringify([filter, orderBy]);
  const list = useMemo(() => new InstanceList(filter, orderBy), [key]);
  const [, redraw] = useState(0);
  const before = useRef(list);
  useEffect(() => list.start(() => redraw((drawn) => drawn + 1)), [list]);
  if (list.rows) before.current = list;
  const shown = before.current;
  return {
    rows: shown.rows,
    at: (index) => shown.at(index),
    error: list.error,
    isOld: !list.rows,
    want: (first, last) => list.want(first, last),
    reload: list.reload,
  };
}
