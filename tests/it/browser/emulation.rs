//! Another screen, another network, another time zone.

use serde_json::{Value, json};

use super::Browser;

impl Browser {
    /// Sends a command of the DevTools protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) {
        let result = self.session.cdp().send_raw(command, parameters).await;
        result.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Sets the size of the window, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sets what the person has chosen in the settings of the system: `prefers-color-scheme`, `prefers-reduced-motion`.
    pub async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<_> = features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub async fn move_to_time_zone(&self, zone: &str) {
        self.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    }

    /// Has every WebSocket refused, as a proxy does that knows none.
    pub async fn refuse_web_sockets(&self) {
        let source = "window.WebSocket = class extends WebSocket {
            constructor(url, protocols) { super(`${url}/refused`, protocols); } };";
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
    }

    /// Lets no request of these addresses through; `*` stands for any text.
    pub async fn block(&self, addresses: &[&str]) {
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.setBlockedURLs", json!({ "urls": addresses })).await;
    }

    /// Has every request for the API refused for a moment, as a proxy does that limits them; or no longer.
    pub async fn overload(&self, is_overloaded: bool) {
        let script = "window.letThrough ??= window.fetch;
            const answer = { errors: [{ message: 'Too many requests.', extensions: { code: 'RATE_LIMITED' } }] };
            const headers = { 'content-type': 'application/json', 'retry-after': '1' };
            const refuse = async () => new Response(JSON.stringify(answer), { status: 429, headers });
            window.fetch = arguments[0] ? refuse : window.letThrough;";
        self.script(script, vec![json!(is_overloaded)]).await;
    }

    /// Forgets the files that were loaded.
    pub async fn forget_files(&self) {
        self.devtools("Network.clearBrowserCache", json!({})).await;
    }

    /// Delays every answer by `latency` milliseconds, and limits the bytes in a second.
    pub async fn throttle(&self, latency: u32, bytes: u32) {
        self.devtools("Network.enable", json!({})).await;
        let network =
            json!({ "offline": false, "latency": latency, "downloadThroughput": bytes, "uploadThroughput": bytes });
        self.devtools("Network.emulateNetworkConditions", network).await;
    }
}
