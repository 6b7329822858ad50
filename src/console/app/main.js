// The start of the console.

import { render } from "../vendor/preact.js";
import { App } from "./app.js";
import { html } from "./lib.js";
import { startLive } from "./live.js";
import { startRouter } from "./router.js";
import { startSession } from "./session.js";

startRouter();
startSession();
startLive();
render(html`<${App} />`, document.getElementById("app"));
