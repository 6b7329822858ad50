// What applications tell of their users: the fields with a column of their own, and the parts of a user list.

/** The fields of `User` in the order of their columns. `key` is the `UserField`, `kind` how a value is shown. */
export const USER_FIELDS = [
  { key: "DISPLAY_NAME", name: "displayName", heading: "Name", kind: "text" },
  { key: "EMAIL", name: "email", heading: "E-mail", kind: "text" },
  { key: "STATUS", name: "status", heading: "Status", kind: "word" },
  { key: "IS_ADMIN", name: "isAdmin", heading: "Admin", kind: "flag" },
  { key: "MFA_ENABLED", name: "mfaEnabled", heading: "MFA", kind: "flag" },
  { key: "LICENSES", name: "licenses", heading: "Licences", kind: "texts" },
  { key: "LAST_ACTIVE_AT", name: "lastActiveAt", heading: "Last active", kind: "time" },
];

/** The same as a selection of GraphQL. */
export const USER_FIELD_NAMES = USER_FIELDS.map(({ name }) => name).join(" ");

/** The parts of a user list: each `Capability` in words. */
export const CAPABILITIES = {
  USERS: "Users",
  ADMIN_ROLES: "Administrators",
  MFA: "Second factors",
  LICENSES: "Licences",
  LAST_ACTIVITY: "Last activity",
};
