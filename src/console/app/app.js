// The frame around all pages: navigation, the state of the connection, and the page of the address.

import { Component } from "../vendor/preact.js";
import { useEffect, useState } from "../vendor/hooks.js";
import { words } from "./format.js";
import { html } from "./lib.js";
import { connection, reconnect } from "./live.js";
import { IntegrationsPage } from "./pages/integrations.js";
import { OverviewPage } from "./pages/overview.js";
import { SignInPage } from "./pages/sign-in.js";
import { address, mayLeave, path } from "./router.js";
import { away, mayChange, mayRead, maySeePeople, me, signOut } from "./session.js";
import { closeAll, Windows } from "./ui/dialog.js";
import { Icon } from "./ui/icon.js";
import { Button, Failure, Heading, Link, Loading, Said, say } from "./ui/parts.js";

const PLACES = [
  { to: "", label: "Overview", icon: "layout-dashboard" },
  { to: "integrations", label: "Integrations", icon: "plug" },
  { to: "people", label: "People", icon: "users", isShown: maySeePeople },
  { to: "reports", label: "Reports", icon: "bar-chart" },
  { to: "notifications", label: "Notifications", icon: "bell", isShown: mayRead },
  { to: "settings", label: "Settings", icon: "settings" },
];

/**
 * The pages by their path. Those in a function are loaded when they are needed.
 * @type {[RegExp, () => any][]}
 */
const PAGES = [
  [/^$/, () => OverviewPage],
  [/^integrations$/, () => IntegrationsPage],
  [/^integrations\/([^/]+)$/, () => import("./pages/integration.js").then((page) => page.IntegrationPage)],
  [/^integrations\/([^/]+)\/connect$/, () => import("./pages/connect.js").then((page) => page.ConnectPage)],
  [/^instances\/([^/]+)$/, () => import("./pages/instance.js").then((page) => page.InstancePage)],
  [/^people$/, () => import("./pages/people.js").then((page) => page.PeoplePage)],
  [/^people\/([^/]+)$/, () => import("./pages/person.js").then((page) => page.PersonPage)],
  [/^reports(?:\/([^/]+))?$/, () => import("./pages/reports.js").then((page) => page.ReportsPage)],
  [/^notifications$/, () => import("./pages/notifications.js").then((page) => page.NotificationsPage)],
  [/^settings(?:\/([^/]+))?$/, () => import("./pages/settings.js").then((page) => page.SettingsPage)],
];

function find(shown) {
  for (const [pattern, load] of PAGES) {
    const match = pattern.exec(shown);
    if (match) return { load, part: match[1] === undefined ? undefined : decoded(match[1]) };
  }
  return null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const NotFoundPage = () => html`
  <${Heading} title="Page not found" />
  <p>Nothing is at this address. It may be mistyped, or what was there has been deleted.</p>
  <p><${Link} to="">Go to the overview</${Link}></p>
`;

/** Shows the page, and says so when it fails, so that the navigation stays. */
class Guarded extends Component {
  state = { error: null };

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    console.error(error);
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<${Heading} title="This page failed" /><${Failure} error=${error} reload=${() => this.setState({ error: null })} />`;
  }
}

function Page() {
  const shown = path.value;
  const [loaded, setLoaded] = useState(/** @type {{ of: string, page?: any, part?: string, error?: Error, load?: () => void }} */ ({ of: null }));
  const found = find(shown);
  useEffect(() => {
    if (!found) return;
    let isOld = false;
    const load = () =>
      Promise.resolve(found.load()).then(
        (page) => isOld || setLoaded({ of: shown, page, part: found.part }),
        () => isOld || setLoaded({ of: shown, error: new Error("The page could not be loaded."), load }),
      );
    load();
    return () => (isOld = true);
  }, [shown]);
  if (!found) return html`<${NotFoundPage} />`;
  if (loaded.of !== shown) return html`<${Loading} />`;
  if (loaded.error) return html`<${Failure} error=${loaded.error} reload=${loaded.load} />`;
  return html`<${Guarded} key=${shown}><${loaded.page} part=${loaded.part} /></${Guarded}>`;
}

function Pill() {
  const { state, why } = connection.value;
  const shown = {
    live: ["ok", "Live", "This page changes by itself when something happens."],
    reconnecting: ["plain", "Reconnecting", "Live updates begin in a moment."],
    polling: ["warning", "Every 10 s", `${why} This page asks the server every ten seconds instead.`],
    lost: ["danger", "Connection lost", `${why} What you see may be out of date.`],
  }[state];
  const [tone, label, title] = shown;
  return html`
    <span class="pill-line">
      <span class="pill ${tone}" role="status" title=${title}>${label}<span class="unseen">. ${title}</span></span>
      ${state === "lost" && html`<button type="button" class="quiet small" onClick=${reconnect}>Try now</button>`}
    </span>
  `;
}

function Navigation() {
  const shown = path.value;
  const isIn = (to) => (to === "" ? shown === "" : shown === to || shown.startsWith(`${to}/`));
  const inIntegrations = shown.startsWith("instances/");
  return html`
    <nav class="places" aria-label="Pages">
      ${PLACES.filter(({ isShown }) => !isShown || isShown.value).map(
        ({ to, label, icon }) => html`
          <a href=${address(to)} aria-current=${isIn(to) || (to === "integrations" && inIntegrations) ? "page" : null}>
            <${Icon} name=${icon} size=${18} /><span>${label}</span>
          </a>
        `,
      )}
    </nav>
  `;
}

function Account() {
  const { name, role, scope } = me.value;
  const limits = [!mayChange.value && "read-only", scope && "limited"].filter(Boolean);
  const [busy, setBusy] = useState(false);
  const leave = async () => {
    if (!(await mayLeave())) return;
    setBusy(true);
    await signOut().catch((error) => say(error.message, "danger"));
    setBusy(false);
  };
  return html`
    <div class="account">
      <p><span class="account-name" title=${name}>${name}</span> <span class="second">${[words(role).toLowerCase(), ...limits].join(", ")}</span></p>
      <${Button} look="quiet small" icon="log-out" busy=${busy} onClick=${leave}>Sign out</${Button}>
    </div>
  `;
}

export function App() {
  useEffect(() => {
    if (!me.value) closeAll();
  }, [me.value]);
  if (me.value === undefined) {
    return html`
      <main class="bare-page">
        ${away.value
          ? html`<h1>${away.value}</h1><p role="status">It is tried again every few seconds; you stay signed in.</p>`
          : html`<${Loading} lines=${1} />`}
      </main>
    `;
  }
  if (me.value === null) return html`<${SignInPage} />`;
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <div class="frame">
      <header class="rail">
        <a class="brand" href=${address("")}><span class="brand-mark" aria-hidden="true">M</span>Muster</a>
        <${Navigation} />
        <div class="rail-end"><${Pill} /><${Account} /></div>
      </header>
      <main id="main" tabindex="-1"><${Page} /></main>
    </div>
    <${Said} />
    <${Windows} />
  `;
}
