// Roles in words.

import { html } from "../lib.js";
import { Field } from "./fields.js";

/** What each role is called, and what it may do. */
export const ROLES = {
  ADMIN: ["Administrator", "Reads and changes everything."],
  OPERATOR: ["Operator", "Reads and changes everything about instances; nothing about members, tokens and the audit log."],
  VIEWER: ["Viewer", "Reads everything about instances and accounts, and changes nothing."],
  REPORTS: ["Reports", "Reads figures, and nothing about a person."],
};

export const roleName = (role) => ROLES[role]?.[0] ?? role;

/** A field to choose a role. What the role may do stands below it. */
export const RoleField = ({ value, error = "", onInput }) => html`
  <${Field}
    label="Role"
    help=${ROLES[value][1]}
    error=${error}
    control=${(attributes) => html`
      <select ...${attributes} value=${value} onChange=${({ target }) => onInput(target.value)}>
        ${Object.entries(ROLES).map(([role, [name]]) => html`<option value=${role}>${name}</option>`)}
      </select>
    `}
  />
`;
