// What applications tell of their users: the fields with a column of their own, and the parts of a user list.

/**
 * The fields of `User` in the order of their columns. `key` is the `UserField`, `kind` how a value is shown. Details have
 * no column in a table of users.
 */
export const USER_FIELDS = [
  { key: "DISPLAY_NAME", name: "displayName", heading: "Name", kind: "text" },
  { key: "EMAIL", name: "email", heading: "E-mail", kind: "text" },
  { key: "STATUS", name: "status", heading: "Status", kind: "word" },
  { key: "IS_ADMIN", name: "isAdmin", heading: "Admin", kind: "flag" },
  { key: "MFA_ENABLED", name: "mfaEnabled", heading: "MFA", kind: "flag" },
  { key: "LICENSES", name: "licenses", heading: "Licences", kind: "texts" },
  { key: "LAST_ACTIVE_AT", name: "lastActiveAt", heading: "Last active", kind: "time" },
  { key: "KIND", name: "kind", heading: "Kind", kind: "word" },
  { key: "GUEST", name: "guest", heading: "Guest", kind: "flag", isDetail: true },
  { key: "CREATED_AT", name: "createdAt", heading: "Created", kind: "time", isDetail: true },
  { key: "ALIASES", name: "aliases", heading: "Further addresses", kind: "texts", isDetail: true },
  { key: "SOURCE_ID", name: "sourceId", heading: "Source ID", kind: "text", isDetail: true },
  { key: "EMPLOYEE_ID", name: "employeeId", heading: "Employee ID", kind: "text", isDetail: true },
  { key: "DEPARTMENT", name: "department", heading: "Department", kind: "text", isDetail: true },
  { key: "MANAGER", name: "manager", heading: "Manager", kind: "text", isDetail: true },
];

/** Those with a column. */
export const USER_COLUMNS = USER_FIELDS.filter(({ isDetail }) => !isDetail);

/** The same as a selection of GraphQL. */
export const USER_FIELD_NAMES = USER_COLUMNS.map(({ name }) => name).join(" ");

/** The parts of a user list: each `Capability` in words. */
export const CAPABILITIES = {
  USERS: "Users",
  INVITATIONS: "Invitations",
  ADMIN_ROLES: "Administrators",
  MFA: "Second factors",
  LICENSES: "Licences",
  LAST_ACTIVITY: "Last activity",
  PROFILE: "Profiles",
};
