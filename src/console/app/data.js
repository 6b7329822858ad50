// Queries of a page: loaded at once, asked again when something has happened, and after a failure by themselves.

import { useCallback, useEffect, useRef, useState } from "../vendor/hooks.js";
import { ask, early } from "./api.js";
import { onEvent, onPoll } from "./live.js";

onEvent(() => early.clear());
onPoll(() => early.clear());

const SOON = 250;
const FIRST_RETRY = 2_000;
const LONGEST_RETRY = 15_000;

/** Loads with `load(signal)` whenever `key` changes. `matters(event)` says whether an event changes what is shown. */
export function useLoad(load, key, matters = null) {
  const [state, setState] = useState({ data: undefined, error: null, key });
  const latest = useRef(null);
  latest.current = { load, matters };
  const again = useRef(() => {});

  useEffect(() => {
    let timer = null;
    let asked = null;
    let failures = 0;
    const run = async () => {
      clearTimeout(timer);
      timer = null;
      asked?.abort();
      const own = (asked = new AbortController());
      try {
        const data = await latest.current.load(own.signal);
        if (own.signal.aborted) return;
        failures = 0;
        setState({ data, error: null, key });
      } catch (error) {
        if (own.signal.aborted) return;
        setState((before) => ({ data: before.key === key ? before.data : undefined, error, key }));
        if (error.code === "UNREACHABLE") {
          timer = setTimeout(run, Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** failures));
          failures += 1;
        }
      }
    };
    const soon = () => (timer ??= setTimeout(run, SOON));
    again.current = run;
    run();
    const ends = [
      onPoll(soon),
      onEvent((event) => {
        if (latest.current.matters?.(event)) soon();
      }),
    ];
    return () => {
      clearTimeout(timer);
      asked?.abort();
      ends.forEach((end) => end());
    };
  }, [key]);

  const reload = useCallback(() => again.current(), []);
  const isOld = state.key !== key;
  return { data: isOld ? undefined : state.data, previous: state.data, error: isOld ? null : state.error, reload };
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
  }, [isBehind, place]);
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
  return {
    nodes: first && [...first.nodes, ...(added?.nodes ?? [])],
    total: first?.totalCount,
    exact: first?.totalCountIsExact ?? true,
    hasMore: end?.hasNextPage ?? false,
    more,
    busy,
    data: data ?? previous,
    error: error ?? failure,
    reload,
  };
}
