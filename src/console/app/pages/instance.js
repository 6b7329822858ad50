// The page of an instance.

import { useEffect, useMemo, useState } from "../../vendor/hooks.js";
import { DeliverButton, manageInstance, resumeConsent, SyncButton } from "../actions.js";
import { useQuery } from "../data.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { mayChange, mayRead } from "../session.js";
import { INSTANCE, instance, noteRun, remember } from "../store.js";
import { Notice } from "../ui/notice.js";
import { Button, Failure, Heading, instanceLink, integrationLink, Link, Loading, Monogram, Part, Tabs } from "../ui/parts.js";
import { Freshness, Progress, State } from "../ui/state.js";

const INSTANCE_OF_PAGE = `query InstanceOfPage($id: ID!) { instance(id: $id) {
  ...Row integration { key name providedFields } currentSync { id seen waitingFor waitingUntil }
} } ${INSTANCE}`;

/**
 * The tabs: the name in the address, the label, what loads the content and what asks for its data early, and whether it is
 * about people.
 * @type {[string, string, () => any, boolean][]}
 */
const TABS = [
  ["", "Overview", () => import("./instance/summary.js").then((tab) => [tab.InstanceSummary, tab.askSummaryEarly]), false],
  ["users", "Users", () => import("./instance/users.js").then((tab) => [tab.InstanceUsers, tab.askUsersEarly]), true],
  ["history", "Sync history", () => import("./instance/history.js").then((tab) => [tab.InstanceHistory, tab.askHistoryEarly]), false],
  ["events", "Events", () => import("./instance/events.js").then((tab) => [tab.InstanceEvents, tab.askEventsEarly]), true],
  ["mail", "Mail", () => import("./instance/mail.js").then((tab) => [tab.InstanceMail, tab.askMailEarly]), true],
];

const shownTabs = () => TABS.filter(([, , , isAboutPeople]) => mayRead.value || !isAboutPeople);
const currentTab = () => shownTabs().find(([name]) => name === search.value.get("tab")) ?? TABS[0];

const isGone = (row) => row === null || row?.status === "DELETED";

function Crumbs({ integration }) {
  return html`
    <${Link} to="integrations">Integrations</${Link}><span aria-hidden="true">›</span>
    <${Link} to=${integrationLink(integration.key)}>${integration.name}</${Link}>
  `;
}

/** What is shown in place of an instance that there is not, or no longer. `last` is what was known of it. */
function Gone({ last }) {
  return html`
    <${Heading} title=${last?.name ?? "Instance not found"} crumbs=${last && html`<${Crumbs} integration=${last.integration} />`} />
    <p>${last ? "This instance has been deleted. Its users are no longer in the register." : "There is no such instance, or no longer."}</p>
    <p><${Link} to=${last ? integrationLink(last.integration.key) : "integrations"}>${last ? `Go to ${last.integration.name}` : "Go to the integrations"}</${Link}></p>
  `;
}

function Actions({ instance }) {
  const exists = instance.status === "LIVE" || instance.status === "INACTIVE";
  return html`
    <${SyncButton} instance=${instance} />
    <${DeliverButton} instance=${instance} />
    ${mayChange.value && exists && html`<${Button} icon="pencil" onClick=${() => manageInstance(instance)}>Manage</${Button}>`}
  `;
}

/** Whether the first list is still to be delivered. */
const isAwaited = ({ integration, lastSync, syncState, status }) => integration.isDelivered && !lastSync && syncState === "IDLE" && status === "LIVE";

function Shown({ instance, provided }) {
  const [current, , load] = currentTab();
  const { id, integration } = instance;
  const tabs = shownTabs().map(([name, label]) => [name, label, `${instanceLink(id)}${name && `?tab=${name}`}`]);
  return html`
    <${Heading}
      title=${instance.name}
      crumbs=${html`<${Crumbs} integration=${integration} />`}
      before=${html`<${Monogram} name=${integration.name} size="large" />`}
      second=${html`<span class="state-line"><${State} instance=${instance} /><${Freshness} instance=${instance} /></span>`}
      actions=${html`<${Actions} instance=${instance} />`}
    />
    ${instance.syncState === "RUNNING" && html`<div class="running"><${Progress} id=${id} expectedBefore=${instance.userCount || null} /></div>`}
    <${Notice} instance=${instance} />
    ${isAwaited(instance) && html`<p class="notice plain" role="status"><strong>No list was delivered yet.</strong> The first one begins the register of these users.</p>`}
    <${Tabs} label="About this instance" items=${tabs} current=${current} />
    <${Part} key=${current} load=${() => load().then(([content]) => content)} instance=${instance} provided=${provided} />
  `;
}

export function InstancePage({ part: id }) {
  // The content of the tab does not wait for what stands above it.
  useMemo(() => {
    const [, , load] = currentTab();
    load().then(([, askTabEarly]) => askTabEarly(id), () => {});
  }, [id]);
  const { data, error, reload } = useQuery(INSTANCE_OF_PAGE, { id }, ({ instance }) => instance.id === id);
  const row = instance(id).value;
  const [last, setLast] = useState(null);
  useEffect(() => {
    if (!data?.instance) return;
    remember([data.instance]);
    noteRun(id, data.instance.currentSync);
  }, [data]);
  const isFound = Boolean(data?.instance);
  useEffect(() => {
    if (isFound && mayChange.peek()) resumeConsent(data.instance);
  }, [isFound]);
  useEffect(() => {
    if (row && !isGone(row)) setLast(row);
  }, [row]);
  useEffect(() => {
    // Mails and old addresses ask for the window with this word.
    if (!search.peek().has("edit")) return;
    setSearch({ edit: null });
    if (mayChange.peek()) manageInstance({ id, name: "" });
  }, []);
  if (data && isGone(data.instance)) return html`<${Gone} last=${last ?? data.instance} />`;
  // What is no id of an instance.
  if (error?.code === "BAD_USER_INPUT") return html`<${Gone} last=${null} />`;
  if (row === null) return html`<${Gone} last=${last} />`;
  if (row && data) return html`<${Shown} instance=${row} provided=${data.instance.integration.providedFields} />`;
  if (error) return html`<${Heading} title="Instance" /><${Failure} error=${error} reload=${reload} />`;
  return html`<${Loading} lines=${6} />`;
}
