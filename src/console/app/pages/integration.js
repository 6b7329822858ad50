// One application of the catalog: its instances, what it provides, and what its credential needs.

import { useMemo } from "../../vendor/hooks.js";
import { useQuery } from "../data.js";
import { USER_FIELDS } from "../fields.js";
import { html } from "../lib.js";
import { search, setSearch } from "../router.js";
import { mayConnect } from "../session.js";
import { Icon } from "../ui/icon.js";
import { askTableEarly, InstanceTable } from "../ui/instance-table.js";
import { Button, Empty, Failure, Heading, integrationLink, Link, Loading, Monogram, Search, Tabs } from "../ui/parts.js";
import { Documentation, Permissions, PREPARATION, Steps } from "../ui/preparation.js";
import { clearState, stateOf, StateFilter } from "../ui/state-filter.js";
import { categoryName } from "./integrations.js";

const INTEGRATION_BY_KEY = `query Integration($key: String!) {
  integration(key: $key) { key category description instanceCount providedFields ${PREPARATION} }
}`;

/** What each `UserField` tells. */
const TELLS = {
  DISPLAY_NAME: "What each user is called.",
  EMAIL: "The address of each user.",
  STATUS: "Who is active, suspended or invited.",
  IS_ADMIN: "Who is an administrator.",
  MFA_ENABLED: "Who has set up a second factor.",
  LICENSES: "Which licences or seats each user has.",
  LAST_ACTIVE_AT: "When each user was last active.",
  KIND: "Whether a person, a program or several people use an account.",
  GUEST: "Who belongs to another organisation.",
  CREATED_AT: "When each account was made.",
  ALIASES: "Which further addresses each user has.",
  SOURCE_ID: "By which id the company's directory knows each user.",
  EMPLOYEE_ID: "By which number the personnel records know each user.",
  DEPARTMENT: "In which department each user works.",
  MANAGER: "Who is the manager of each user.",
};

function Fields({ title, text, icon, fields }) {
  return html`
    <section class="card stack">
      <h2>${title}</h2>
      <p class="second">${text}</p>
      <ul class="list">
        ${fields.map(
          ({ key, heading }) => html`
            <li key=${key} class=${icon === "check" ? "provided" : "missing"}>
              <${Icon} name=${icon} />
              <span class="grow"><strong>${heading}</strong><br /><span class="second">${TELLS[key]}</span></span>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}

function Provides({ integration: { name, providedFields } }) {
  const given = USER_FIELDS.filter(({ key }) => providedFields.includes(key));
  const missing = USER_FIELDS.filter(({ key }) => !providedFields.includes(key));
  return html`
    <div class="columns">
      <${Fields} title="Provided" text="What ${name} tells of each user." icon="check" fields=${given} />
      ${missing.length > 0 &&
      html`<${Fields} title="Not provided" text="It is unknown for every user of ${name}, which is not the same as “no”." icon="x" fields=${missing} />`}
    </div>
  `;
}

function Needs({ integration }) {
  const { name, requiredPermissions } = integration;
  return html`
    <div class="columns">
      <section class="card stack">
        <h2>Permissions that the credential needs</h2>
        ${requiredPermissions.length
          ? html`<${Permissions} permissions=${requiredPermissions} />`
          : html`<p>It needs no particular permission.</p>`}
        <p class="second">Muster reads the list of users, and changes nothing in ${name}.</p>
      </section>
      <section class="card stack">
        <h2>In ${name}</h2>
        <${Steps} integration=${integration} />
        <${Documentation} integration=${integration} />
      </section>
    </div>
  `;
}

const connectLink = (key) => `${integrationLink(key)}/connect`;

const IntegrateButton = ({ integration }) =>
  mayConnect(integration.key) && html`<${Link} class="button primary" to=${connectLink(integration.key)}>Integrate</${Link}>`;

function NoInstances({ integration, isFiltered }) {
  if (isFiltered) {
    const clear = () => {
      clearState();
      setSearch({ search: null });
    };
    return html`<${Empty} title="No instance matches"><p><${Button} onClick=${clear}>Clear the filters</${Button}></p></${Empty}>`;
  }
  return html`
    <${Empty} title="${integration.name} is not connected yet">
      <p>An instance is one account or tenant of ${integration.name}, and Muster keeps a register of its users.</p>
      ${mayConnect(integration.key) && html`<p><${Link} class="button" to=${connectLink(integration.key)}>Integrate ${integration.name}</${Link}></p>`}
    </${Empty}>
  `;
}

/** What the address filters the instances by: `{ state, text, filter }`. */
function askedFor(key) {
  const query = search.value;
  const state = stateOf(query);
  const text = query.get("search") ?? "";
  return { state, text, filter: { integrationKeys: [key], ...state?.filter, ...(text && { search: text }) } };
}

function InstancesOf({ integration }) {
  const { state, text, filter } = askedFor(integration.key);
  return html`
    ${(integration.instanceCount > 0 || state || text) &&
    html`<div class="filters">
      <${Search} label="Search instances" value=${text} onSearch=${(typed) => setSearch({ search: typed })} />
      <${StateFilter} state=${state} />
    </div>`}
    <${InstanceTable}
      filter=${filter}
      caption="Instances of ${integration.name}"
      empty=${html`<${NoInstances} integration=${integration} isFiltered=${Boolean(state || text)} />`}
    />
  `;
}

/** An integration that was removed from the catalog may still have instances. */
const Removed = ({ name }) => html`
  <${Heading} title=${name} crumbs=${html`<${Link} to="integrations">Integrations</${Link}>`} />
  <${InstanceTable}
    filter=${{ integrationKeys: [name] }}
    caption="Instances of ${name}"
    empty=${html`<${Empty} title="There is no such integration"><p>The address may be mistyped. <${Link} to="integrations?show=all">Show all integrations</${Link}></p></${Empty}>`}
  />
`;

const TABS_OF_INTEGRATION = { instances: InstancesOf, provides: Provides, permissions: Needs };

export function IntegrationPage({ part: key }) {
  // The instances do not wait for what is told about the integration.
  useMemo(() => !search.value.has("tab") && askTableEarly(askedFor(key).filter), [key]);
  const { data, error, reload } = useQuery(INTEGRATION_BY_KEY, { key }, ({ cause }) => cause === "CREATED" || cause === "DELETED");
  if (!data) {
    const shown = error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${5} />`;
    return html`<${Heading} title="Integration" crumbs=${html`<${Link} to="integrations">Integrations</${Link}>`} />${shown}`;
  }
  const { integration } = data;
  if (!integration) return html`<${Removed} name=${key} />`;
  const { name, category, description } = integration;
  const wanted = search.value.get("tab");
  const tab = Object.hasOwn(TABS_OF_INTEGRATION, wanted ?? "") ? wanted : "instances";
  const to = integrationLink(key);
  return html`
    <${Heading}
      key=${key}
      title=${name}
      crumbs=${html`<${Link} to="integrations">Integrations</${Link}>`}
      second=${categoryName(category)}
      before=${html`<${Monogram} name=${name} size="large" />`}
      actions=${html`<${IntegrateButton} integration=${integration} />`}
    />
    <p class="lead">${description}</p>
    <${Tabs}
      label="About ${name}"
      current=${tab}
      items=${[
        ["instances", "Instances", to],
        ["provides", "What it provides", `${to}?tab=provides`],
        ["permissions", "Permissions", `${to}?tab=permissions`],
      ]}
    />
    <${TABS_OF_INTEGRATION[tab]} integration=${integration} />
  `;
}
