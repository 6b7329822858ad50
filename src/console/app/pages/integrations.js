// The catalog of integrations.

import { html } from "../lib.js";
import { Heading } from "../ui/parts.js";

export const IntegrationsPage = () => html`<${Heading} title="Integrations" />`;
