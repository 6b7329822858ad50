//! How many requests go to one host, and for one integration, at once.
//!
//! A host is a name with a port. The limit protects the host, so all instances that call it share the limit, and the
//! replicas divide it among themselves. Requests wait in the order in which they came.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// How many requests go to one host at once, from all replicas.
const PER_HOST: usize = 8;
/// The same for one integration, because its hosts may belong to one service.
const PER_INTEGRATION: usize = 128;
/// How many hosts are remembered before unused ones are forgotten.
const REMEMBERED: usize = 1_000;

/// The limits of a process.
pub struct HostLimits {
    replicas: AtomicUsize,
    gates: Mutex<HashMap<String, Gate>>,
}

struct Gate {
    places: usize,
    semaphore: Arc<Semaphore>,
}

/// A request that may be sent. Dropping it lets the next one go.
pub(super) struct Permit {
    _held: [Option<OwnedSemaphorePermit>; 2],
}

impl Default for HostLimits {
    fn default() -> Self {
        Self { replicas: AtomicUsize::new(1), gates: Mutex::default() }
    }
}

impl HostLimits {
    /// Shares the limits with other replicas. `count` is how many there are, with this one.
    pub fn share(&self, count: usize) {
        self.replicas.store(count.max(1), Ordering::Relaxed);
    }

    /// Waits until a request may be sent. `waiting` counts it meanwhile.
    pub(super) async fn enter(&self, integration: Option<&str>, url: &Url, waiting: &AtomicUsize) -> Permit {
        let host =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let own = integration.map(|key| self.gate(format!("integration {key}"), PER_INTEGRATION));
        let host = self.gate(host, PER_HOST);
        let _counted = Counted::new(waiting);
        // The wider limit comes last: requests that wait for a slow host must not block others of the integration.
        let host = host.acquire_owned().await.ok();
        let own = match own {
            Some(gate) => gate.acquire_owned().await.ok(),
            None => None,
        };
        Permit { _held: [host, own] }
    }

    fn gate(&self, name: String, limit: usize) -> Arc<Semaphore> {
        let places = (limit / self.replicas.load(Ordering::Relaxed)).max(1);
        let mut gates = self.gates.lock();
        if gates.len() > REMEMBERED {
            gates.retain(|_, gate| Arc::strong_count(&gate.semaphore) > 1);
        }
        let new = || Gate { places, semaphore: Arc::new(Semaphore::new(places)) };
        let gate = gates.entry(name).or_insert_with(new);
        if gate.places != places {
            // Requests that hold a permit of the old semaphore, or wait for one, keep using it.
            *gate = new();
        }
        gate.semaphore.clone()
    }
}

/// Counts one as long as it lives.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn enter(limits: &HostLimits, host: &str, waiting: &AtomicUsize) -> Option<Permit> {
        let url = Url::parse(&format!("https://{host}/users")).unwrap();
        limits.enter(Some("scim"), &url, waiting).now_or_never()
    }

    #[test]
    fn a_host_has_its_limit_and_holds_no_other_up() {
        let (limits, waiting) = (HostLimits::default(), AtomicUsize::new(0));
        let mut held: Vec<_> = (0..PER_HOST).map(|_| enter(&limits, "a.example", &waiting).unwrap()).collect();
        assert!(enter(&limits, "a.example", &waiting).is_none());
        assert!(enter(&limits, "a.example:444", &waiting).is_some(), "another port is another host");
        assert!(enter(&limits, "b.example", &waiting).is_some());
        held.pop();
        assert!(enter(&limits, "a.example", &waiting).is_some());
        assert_eq!(waiting.into_inner(), 0);
    }

    #[test]
    fn an_integration_has_a_limit_over_all_hosts() {
        let (limits, waiting) = (HostLimits::default(), AtomicUsize::new(0));
        let enter = |number: usize| enter(&limits, &format!("{number}.example"), &waiting);
        let held: Vec<_> = (0..PER_INTEGRATION).map(|number| enter(number).unwrap()).collect();
        assert!(enter(PER_INTEGRATION).is_none());
        drop(held);
        assert!(enter(PER_INTEGRATION).is_some());
    }

    #[test]
    fn replicas_share_a_limit() {
        let (limits, waiting) = (HostLimits::default(), AtomicUsize::new(0));
        for (replicas, share) in [(2, 4), (3, 2), (99, 1), (1, PER_HOST)] {
            limits.share(replicas);
            let held: Vec<_> =
                std::iter::repeat_with(|| enter(&limits, "a.example", &waiting)).map_while(|it| it).collect();
            assert_eq!(held.len(), share, "{replicas} replicas");
        }
    }
}
