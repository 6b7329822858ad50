// A long list of instances, loaded page by page as far as somebody looks at it.

import { useEffect, useMemo, useRef, useState } from "../../vendor/hooks.js";
import { ask } from "../api.js";
import { onEvent, onPoll } from "../live.js";
import { INSTANCE, remember } from "../store.js";

const INSTANCES_IN_ORDER = `query Instances($filter: InstanceFilter, $orderBy: InstanceOrder, $first: Int, $after: String) {
  instances(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount totalCountIsExact pageInfo { hasNextPage endCursor } nodes { ...Row }
  }
} ${INSTANCE}`;
const FIRST_ROWS = 50;
const ROWS_PER_PAGE = 100;
const NONE_YET = { ids: [], after: null, hasMore: true, total: 0, exact: true };
/** How long events are gathered before the list is asked again. */
const GATHERED = 500;
const RETRIES = 5_000;

class InstanceList {
  /** What is shown: `{ ids, total, exact, hasMore }`, or null before the first page. */
  rows = null;
  error = null;
  #filter;
  #orderBy;
  #needed = FIRST_ROWS;
  /** What is being loaded. It takes the place of `rows` when it is as long as somebody looks. */
  #growing = NONE_YET;
  #isOld = true;
  #isRunning = false;
  #timer = null;
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
    const ends = [onPoll(() => this.#soon()), onEvent((event) => this.#matters(event) && this.#soon())];
    this.reload();
    return () => {
      ends.forEach((end) => end());
      clearTimeout(this.#timer);
      this.#asked.abort();
    };
  }

  reload = () => {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#isOld = true;
    this.#run();
  };

  /** Somebody looks at the rows up to this index. */
  want(index) {
    this.#needed = Math.max(FIRST_ROWS, index + 1);
    if (this.rows && !this.error) this.#run();
  }

  #soon(wait = GATHERED) {
    this.#timer ??= setTimeout(this.reload, wait);
  }

  /** Whether other rows may belong to the list after an event. */
  #matters({ cause, instance: { id, integration } }) {
    const { integrationKeys, headlines, needsAttention, stale } = this.#filter;
    const byState = headlines || needsAttention || stale;
    if (this.rows?.ids.includes(id)) return cause === "DELETED" || byState;
    if (integrationKeys && !integrationKeys.includes(integration.key)) return false;
    return cause === "CREATED" || cause === "DELETED" || byState;
  }

  #isShort = ({ ids, hasMore }) => hasMore && ids.length < this.#needed;

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { signal } = this.#asked;
    try {
      while (this.#isOld || this.#isShort(this.#growing)) {
        if (this.#isOld) this.#growing = NONE_YET;
        this.#isOld = false;
        await this.#grow(signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      if (error.code === "UNREACHABLE") this.#soon(RETRIES);
      this.#changed();
    } finally {
      this.#isRunning = false;
    }
  }

  async #grow(signal) {
    const { ids, after } = this.#growing;
    const first = ids.length ? ROWS_PER_PAGE : FIRST_ROWS;
    const { instances } = await ask(INSTANCES_IN_ORDER, { filter: this.#filter, orderBy: this.#orderBy, first, after }, signal);
    signal.throwIfAborted();
    remember(instances.nodes);
    this.#growing = {
      ids: [...ids, ...instances.nodes.map(({ id }) => id)],
      after: instances.pageInfo.endCursor,
      hasMore: instances.pageInfo.hasNextPage,
      total: instances.totalCount,
      exact: instances.totalCountIsExact,
    };
    const shown = this.rows?.ids.length ?? 0;
    if (this.#isShort(this.#growing) && this.#growing.ids.length < shown) return;
    this.rows = this.#growing;
    this.error = null;
    this.#changed();
  }
}

/**
 * The instances that match: `{ rows, error, isOld, want(index), reload() }`. While another filter or order is loaded, the
 * rows before it stay, and `isOld` is true.
 */
export function useInstanceList(filter, orderBy) {
  const key = JSON.stringify([filter, orderBy]);
  const list = useMemo(() => new InstanceList(filter, orderBy), [key]);
  const [, redraw] = useState(0);
  const before = useRef(null);
  useEffect(() => list.start(() => redraw((drawn) => drawn + 1)), [list]);
  if (list.rows) before.current = list.rows;
  const { rows, error, reload } = list;
  return { rows: rows ?? before.current, error, isOld: !rows, want: (index) => list.want(index), reload };
}
