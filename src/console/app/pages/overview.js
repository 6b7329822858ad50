// The overview.

import { html } from "../lib.js";
import { Heading } from "../ui/parts.js";

export const OverviewPage = () => html`<${Heading} title="Overview" />`;
