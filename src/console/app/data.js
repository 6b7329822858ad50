// Queries of a page: loaded at once, asked again when something has happened, and after a failure by themselves.

import { useCallback, useEffect, useRef, useState } from "../vendor/hooks.js";
import { ask, early, isPassing } from "./api.js";
import { onEvent, onPoll } from "./live.js";

onEvent(() => early.clear());
onPoll(() => early.clear());

const SOON = 250;
const FIRST_RETRY = 2_000;
const LONGEST_RETRY = 15_000;
const WATCH = 5_000;

/** Events that move no instance from one state to another. */
const PASSING = new Set(["SYNC_QUEUED", "SYNC_STARTED", "SYNC_RESUMED", "SYNC_WAITING"]);
export const changesStates = ({ cause }) => !PASSING.has(cause);

/** When something is loaded again: soon after something has happened, and later after a failure. */
export class Plan {
  #run;
  #timer = null;
  #at = Infinity;
  #earliest = 0;
  #failures = 0;

  constructor(run) {
    this.#run = run;
  }

  /** Runs in so many milliseconds, unless that is planned earlier, and when the server wants to be asked again. */
  soon(wait) {
    const at = Math.max(Date.now() + wait, this.#earliest);
    if (this.#at <= at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#run();
    }, at - Date.now());
  }

  failed(error) {
    if (!isPassing(error)) return;
    this.#earliest = Date.now() + 1000 * (error.retryAfter ?? 0);
    this.soon(Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** this.#failures));
    this.#failures += 1;
  }

  succeeded() {
    this.#failures = 0;
    this.#earliest = 0;
  }

  /** Forgets what is planned. */
  stop() {
    clearTimeout(this.#timer);
    this.#at = Infinity;
  }
}

/** Loads with `load(signal)` whenever `key` changes. `matters(event)` says whether an event changes what is shown. */
export function useLoad(load, key, matters = null) {
  const [state, setState] = useState({ data: undefined, error: null, key });
  const latest = useRef(null);
  latest.current = { load, matters };
  const again = useRef(() => {});

  useEffect(() => {
    const asked = new AbortController();
    const { signal } = asked;
    let running = null;
    let isOld = false;
    const once = async () => {
      try {
        const data = await latest.current.load(signal);
        if (signal.aborted) return;
        plan.succeeded();
        setState({ data, error: null, key });
      } catch (error) {
        if (signal.aborted) return;
        setState((before) => ({ data: before.key === key ? before.data : undefined, error, key }));
        plan.failed(error);
      }
    };
    // What is being loaded is not given up for what happens meanwhile, which may never end. It is loaded once more then.
    const run = () => {
      plan.stop();
      isOld = running !== null;
      running ??= once().then(() => {
        running = null;
        return isOld && !signal.aborted ? run() : undefined;
      });
      return running;
    };
    const plan = new Plan(run);
    const soon = () => plan.soon(SOON);
    again.current = run;
    run();
    const ends = [
      onPoll(soon),
      onEvent((event) => {
        if (latest.current.matters?.(event)) soon();
      }),
    ];
    return () => {
      plan.stop();
      asked.abort();
      ends.forEach((end) => end());
    };
  }, [key]);

  const reload = useCallback(() => again.current(), []);
  const isOld = state.key !== key;
  return { data: isOld ? undefined : state.data, previous: state.data, error: isOld ? null : state.error, reload };
}

/** Loads again every few seconds while `isChanging`, which no event tells of. */
export function useWatch(isChanging, reload) {
  const latest = useRef(null);
  latest.current = reload;
  useEffect(() => {
    if (!isChanging) return;
    const timer = setInterval(() => document.hidden || latest.current(), WATCH);
    return () => clearInterval(timer);
  }, [isChanging]);
}

/**
 * Whether a list has changed since somebody read on beyond its first page. Shorter lists load by themselves. `changes(event)`
 * says whether an event changes the list. Another `key` is another list.
 * @returns {[boolean, (isChanged: boolean) => void, (event: any) => boolean]}
 */
export function useChanged(changes, isLong, key) {
  const [isChanged, setChanged] = useState(false);
  const latest = useRef(null);
  latest.current = { changes, isLong };
  useEffect(() => setChanged(false), [key]);
  useEffect(
    () =>
      onEvent((event) => {
        if (latest.current.isLong && latest.current.changes(event)) setChanged(true);
      }),
    [],
  );
  return [isChanged, setChanged, (event) => !isLong && changes(event)];
}

/** Runs a query whenever its variables change. Returns `{ data, previous, error, reload }`. */
export function useQuery(query, variables = {}, matters = null) {
  return useLoad((signal) => ask(query, variables, signal), JSON.stringify([query, variables]), matters);
}

/** The pages that follow a page, until there are as many rows as wanted. */
async function followingPages(query, variables, pick, { endCursor, hasNextPage }, wanted) {
  const found = { nodes: [], end: endCursor, hasMore: hasNextPage };
  while (found.hasMore && found.nodes.length < wanted) {
    const { nodes, pageInfo } = pick(await ask(query, { ...variables, after: found.end }));
    found.nodes.push(...nodes);
    Object.assign(found, { end: pageInfo.endCursor, hasMore: pageInfo.hasNextPage });
  }
  return found;
}

/**
 * A list that is loaded in pages. `pick(data)` finds the connection. Returns
 * `{ nodes, total, exact, hasMore, more, busy, data, error, reload }`; `nodes` is undefined before the first page.
 */
export function useList(query, variables, pick, matters = null) {
  const [later, setLater] = useState({ nodes: [], key: null, place: null, end: null, hasMore: false });
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const [round, setRound] = useState(0);
  const { data, previous, error, reload } = useQuery(query, variables, matters);
  const first = data && pick(data);
  const key = JSON.stringify([query, variables]);
  const place = first && `${key} ${first.pageInfo.endCursor}`;
  const added = first && later.key === key && later.nodes.length ? later : null;
  const isBehind = added !== null && added.place !== place;
  useEffect(() => {
    if (!isBehind) return;
    // The first page ends elsewhere now. What follows is loaded again; until then, the old rows stay.
    let isOld = false;
    followingPages(query, variables, pick, first.pageInfo, later.nodes.length).then(
      (found) => isOld || setLater({ ...found, key, place }),
      () => {},
    );
    return () => (isOld = true);
  }, [isBehind, place, round]);
  const end = added ? { endCursor: added.end, hasNextPage: added.hasMore } : first?.pageInfo;
  const more = async () => {
    if (busy || isBehind || !end?.hasNextPage) return;
    setBusy(true);
    setFailure(null);
    try {
      const found = await followingPages(query, variables, pick, end, 1);
      setLater({ ...found, nodes: [...(added?.nodes ?? []), ...found.nodes], key, place });
    } catch (refusal) {
      setFailure(refusal);
    } finally {
      setBusy(false);
    }
  };
  const reloadAll = async () => {
    await reload();
    setLater((before) => ({ ...before, place: null }));
    setRound((before) => before + 1);
  };
  return {
    nodes: first && [...first.nodes, ...(added?.nodes ?? [])],
    total: first?.totalCount,
    exact: first?.totalCountIsExact ?? true,
    hasMore: end?.hasNextPage ?? false,
    more,
    busy,
    data: data ?? previous,
    error: error ?? failure,
    reload: reloadAll,
  };
}

/** Events after which figures may differ. */
const CHANGES_FIGURES = new Set(["SYNC_SUCCEEDED", "SYNC_PARTIAL", "SYNC_FAILED", "USERS_DELETION_STARTED", "USERS_DELETED", "DELETION_STARTED", "DELETED"]);
export const changesFigures = ({ cause }) => CHANGES_FIGURES.has(cause);
