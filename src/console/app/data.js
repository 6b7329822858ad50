// Queries of a page: loaded at once, asked again when something has happened, and after a failure by themselves.

import { useCallback, useEffect, useRef, useState } from "../vendor/hooks.js";
import { ask } from "./api.js";
import { onEvent, onPoll } from "./live.js";

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

/**
 * A list that is loaded in pages. `pick(data)` finds the connection. Returns
 * `{ nodes, total, exact, hasMore, more, busy, data, error, reload }`; `nodes` is undefined before the first page.
 */
export function useList(query, variables, pick, matters = null) {
  const [later, setLater] = useState({ nodes: [], end: null, hasMore: false, of: null });
  const [busy, setBusy] = useState(false);
  const { data, previous, error, reload } = useQuery(query, variables, matters);
  const first = data && pick(data);
  // What was loaded later still follows a first page that ends where it ended.
  const place = first && JSON.stringify([query, variables, first.pageInfo.endCursor]);
  const added = later.of === place ? later : null;
  const more = async () => {
    const end = added ? added.end : first?.pageInfo.endCursor;
    if (!first || busy || !(added ?? { hasMore: first.pageInfo.hasNextPage }).hasMore) return;
    setBusy(true);
    try {
      const page = pick(await ask(query, { ...variables, after: end }));
      const { endCursor, hasNextPage } = page.pageInfo;
      setLater({ nodes: [...(added?.nodes ?? []), ...page.nodes], end: endCursor, hasMore: hasNextPage, of: place });
    } finally {
      setBusy(false);
    }
  };
  return {
    nodes: first && [...first.nodes, ...(added?.nodes ?? [])],
    total: first?.totalCount,
    exact: first?.totalCountIsExact ?? true,
    hasMore: added ? added.hasMore : (first?.pageInfo.hasNextPage ?? false),
    more,
    busy,
    data: data ?? previous,
    error,
    reload,
  };
}
