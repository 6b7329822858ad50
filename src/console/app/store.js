// The instances that pages show, each a signal that events of the server keep true.

import { batch, signal } from "../vendor/signals.js";

/** What every place that shows an instance needs. Pages ask for it, and so do the events. */
export const INSTANCE = `fragment Row on Instance {
  id name status inactiveReason syncState updatedAt health headline failingSince userCount revision nextSyncAt nextTryAt createdAt
  createdBy # person
  syncIntervalMinutes credentialExpiresAt
  integration { key name category isDelivered }
  freshness { state asOf staleSince }
  notice {
    severity title since remedies { label action }
    detail # person
  }
  lastSync {
    id outcome finishedAt
    failure {
      class
      message # person
    }
  }
}`;

const instances = new Map();
/** The progress of running syncs by instance. */
const running = new Map();

/** The signal of an instance; its value is null after it was deleted. */
export function instance(id) {
  if (!instances.has(id)) instances.set(id, signal(undefined));
  return instances.get(id);
}

/** The signal of the progress of an instance's sync; its value is null while none runs. */
export function progress(id) {
  if (!running.has(id)) running.set(id, signal(null));
  return running.get(id);
}

/** Notes what a query found, and returns the signals. */
export function remember(rows) {
  return batch(() =>
    rows.map((row) => {
      const known = instance(row.id);
      // An event may have told of a newer state while the query was answered.
      if (!isNewer(known.peek(), row)) known.value = row;
      return known;
    }),
  );
}

const isNewer = (known, row) => known?.updatedAt && row.updatedAt && known.updatedAt > row.updatedAt;

/** Notes that an instance is gone. */
export function forgetInstance(id) {
  batch(() => {
    instance(id).value = null;
    progress(id).value = null;
  });
}

/** Applies an event. */
export function apply({ instance: row }) {
  batch(() => {
    if (row.status === "DELETED") return forgetInstance(row.id);
    instance(row.id).value = row;
    if (row.syncState !== "RUNNING") progress(row.id).value = null;
  });
}

/** Applies the progress of a sync. The rate is that of the time between two reports. */
export function applyProgress(report) {
  const known = progress(report.instanceId);
  const before = known.peek();
  const at = Date.now();
  if (before?.runId !== report.runId) {
    known.value = { ...report, at, rate: null };
    return;
  }
  const seconds = (at - before.at) / 1000;
  const rate = seconds > 0.2 ? (report.seen - before.seen) / seconds : before.rate;
  const smooth = before.rate === null ? rate : 0.7 * before.rate + 0.3 * rate;
  known.value = seconds > 0.2 ? { ...report, at, rate: smooth } : { ...report, at: before.at, rate: before.rate };
}

/** Notes how far the current run is that was asked for, unless something newer is known of it. */
export function noteRun(id, run) {
  if (!run) {
    progress(id).value = null;
    return;
  }
  const known = progress(id).peek();
  const same = known?.runId === run.id ? known : null;
  if (same?.seen > run.seen) return;
  applyProgress({ ...run, instanceId: id, runId: run.id, expected: same?.expected ?? null });
}

/** Forgets everything, for the next person who signs in. */
export function forget() {
  instances.clear();
  running.clear();
}
