// What the fields that find things by name ask the server.

import { ask } from "../api.js";
import { words } from "../format.js";

const MOST_FOUND = 8;
const INSTANCES_BY_NAME = `query InstancesByName($first: Int!, $filter: InstanceFilter) {
  instances(first: $first, filter: $filter, orderBy: { field: NAME, direction: ASC }) { nodes { id name integration { name } } }
}`;
const INTEGRATIONS_BY_NAME = `query IntegrationsByName($first: Int!, $filter: IntegrationFilter) {
  integrations(first: $first, filter: $filter) { nodes { key name instanceCount } }
}`;

const PEOPLE_BY_NAME = `query PeopleByName($first: Int!, $filter: PersonFilter) {
  persons(first: $first, filter: $filter) { nodes { id displayName email state } }
}`;
const ACTORS_BY_NAME = `query ActorsByName($first: Int!, $text: String) {
  members(first: $first, filter: { search: $text }) { nodes { id name email } }
  apiTokens(first: $first, filter: { search: $text }) { nodes { id name } }
}`;

/** Instances whose name contains the text. */
export async function findInstances(text, signal) {
  const { instances } = await ask(INSTANCES_BY_NAME, { first: MOST_FOUND, filter: text ? { search: text } : {} }, signal);
  return instances.nodes.map(({ id, name, integration }) => ({ id, name, second: integration.name }));
}

/** Integrations whose name contains the text. */
export async function findIntegrations(text, signal) {
  const { integrations } = await ask(INTEGRATIONS_BY_NAME, { first: MOST_FOUND, filter: text ? { search: text } : {} }, signal);
  return integrations.nodes.map(({ key, name }) => ({ id: key, name }));
}

/** People whose name or address contains words that begin with those of the text. */
export async function findPeople(text, signal) {
  const { persons } = await ask(PEOPLE_BY_NAME, { first: MOST_FOUND, filter: text ? { search: text } : {} }, signal);
  return persons.nodes.map(personFound);
}

/** A person, to be picked. */
export const personFound = ({ id, displayName, email, state }) => ({ id, name: displayName ?? email ?? "Without a name", second: [displayName && email, words(state)].filter(Boolean).join(", ") });

/** Members and tokens whose name or address contains the text. */
export async function findActors(text, signal) {
  const { members, apiTokens } = await ask(ACTORS_BY_NAME, { first: MOST_FOUND, text: text || null }, signal);
  return [
    ...members.nodes.map(({ id, name, email }) => ({ id, name, second: email ?? "member" })),
    ...apiTokens.nodes.map(({ id, name }) => ({ id, name, second: "token" })),
  ];
}

const INSTANCES_BY_ID = "query InstancesById($ids: [ID!]) { instances(first: 100, filter: { ids: $ids }) { nodes { id name } } }";

const INTEGRATION_NAME = "query IntegrationName($key: String!) { integration(key: $key) { key name } }";

/** The name of an integration; null if there is none with this key. */
export const nameOfIntegration = async (key, signal) => (await ask(INTEGRATION_NAME, { key }, signal)).integration?.name ?? null;

/** The name of an instance; null if there is none with this id. */
export const nameOfInstance = async (id, signal) => (await namesOf([id], signal)).get(id) ?? null;

/** The names of instances by their ids. */
export async function namesOf(ids, signal = null) {
  const { instances } = await ask(INSTANCES_BY_ID, { ids: ids.slice(0, 100) }, signal);
  return new Map(instances.nodes.map(({ id, name }) => [id, name]));
}
