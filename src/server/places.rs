//! How many connections clients may have: of all, and of one address.
//!
//! When all places are taken, the connections that have been idle for longest are closed. If every connection is busy,
//! a few more are accepted, on which only the health checks are answered. An address that has too many connections gets
//! no more. Connections of trusted proxies and from this machine are not counted by address. Of the requests that
//! a trusted proxy forwards, each counts as a connection of its client while it is answered. All clients whose address
//! a proxy does not say readably count as one client, which is never the proxy or this machine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Once};

use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use parking_lot::Mutex;
use tracing::warn;

use super::connection::Activity;
use super::descriptors;
use crate::auth::network;
use crate::config::Settings;

/// How many connections are accepted beyond the limit, for health checks.
const SPARE: usize = 32;
/// When all places are taken, one of so many connections is closed if it is idle.
const CLOSED_SHARE: usize = 64;
/// Proxies append the address of their client to this header.
const FORWARDED: &str = "x-forwarded-for";
/// The client of a trusted proxy that does not say its address readably.
pub(super) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The places for connections. Clones share them.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    all: usize,
    per_address: usize,
    trusted: Vec<IpNet>,
    taken: Mutex<Taken>,
    warned: Once,
}

#[derive(Default)]
struct Taken {
    open: HashMap<u64, Activity>,
    last_id: u64,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection, which is free again when this is dropped.
pub(super) struct Place {
    id: u64,
    client: Option<Client>,
    pub(super) gate: Gate,
}

/// Decides whether a request on a connection is answered.
#[derive(Clone)]
pub(super) struct Gate {
    places: Places,
    peer: IpAddr,
    /// Only health checks are answered.
    spare: bool,
}

/// A connection or a request of an address. It is counted until this is dropped.
pub(super) struct Client {
    places: Places,
    address: IpAddr,
}

/// Why a connection or a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// All places are taken.
    Full,
    /// The address has too many connections.
    Address,
}

impl Places {
    pub fn of(settings: &Settings) -> Self {
        let all = settings.max_connections.min(descriptors::for_clients()).saturating_sub(SPARE).max(1);
        Self::new(all, settings.max_connections_per_address, settings.trusted_proxies.clone())
    }

    pub(super) fn new(all: usize, per_address: usize, trusted: Vec<IpNet>) -> Self {
        Self(Arc::new(Shared { all, per_address, trusted, taken: Mutex::default(), warned: Once::new() }))
    }

    /// A place for a new connection.
    pub(super) fn take(&self, peer: IpAddr, activity: &Activity) -> Result<Place, Refused> {
        let peer = peer.to_canonical();
        let client = self.client(peer)?;
        let mut taken = self.0.taken.lock();
        let full = taken.open.len() >= self.0.all;
        let spare = full && !taken.close_idle();
        if taken.open.len() >= self.0.all + SPARE {
            drop(taken);
            return Err(refused(Refused::Full));
        }
        taken.last_id += 1;
        let id = taken.last_id;
        taken.open.insert(id, activity.clone());
        drop(taken);
        Ok(Place { id, client, gate: Gate { places: self.clone(), peer, spare } })
    }

    /// Counts a client; `None` if this address is not counted.
    fn client(&self, address: IpAddr) -> Result<Option<Client>, Refused> {
        if address != UNKNOWN && (address.is_loopback() || self.trusts(address)) {
            return Ok(None);
        }
        let address = network(address);
        let mut taken = self.0.taken.lock();
        let count = taken.by_address.entry(address).or_default();
        if *count >= self.0.per_address {
            return Err(refused(Refused::Address));
        }
        *count += 1;
        drop(taken);
        Ok(Some(Client { places: self.clone(), address }))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.trusted.iter().any(|network| network.contains(&address))
    }

    /// The client of a trusted proxy, as the last proxy that is trusted saw it. If all are trusted, it is the first.
    fn forwarded(&self, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<&[u8]> = headers.get_all(FORWARDED).iter().map(HeaderValue::as_bytes).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')).map(address);
        let mut client = UNKNOWN;
        for hop in hops {
            client = hop.filter(|address| !address.is_loopback()).unwrap_or(UNKNOWN);
            if !hop.is_some_and(|address| self.trusts(address)) {
                break;
            }
        }
        client
    }
}

fn refused(why: Refused) -> Refused {
    let reason = match why {
        Refused::Full => "full",
        Refused::Address => "address",
    };
    metrics::counter!("muster_connections_refused_total", "reason" => reason).increment(1);
    why
}

/// An address as proxies write it, which may have a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let address = text.parse().or_else(|_| text.trim_matches(['[', ']']).parse());
    address.or_else(|_| text.parse().map(|address: std::net::SocketAddr| address.ip())).ok().map(|it| it.to_canonical())
}

impl Taken {
    /// Closes those that have been idle for longest, first those that have sent nothing yet. False if there are none.
    fn close_idle(&self) -> bool {
        let idle = self.open.values().filter_map(|activity| Some((activity.idle_since()?, activity)));
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        idle.truncate(self.open.len().div_ceil(CLOSED_SHARE));
        for (_, activity) in &idle {
            activity.make_room();
        }
        !idle.is_empty()
    }
}

impl Gate {
    /// The address of the client, behind the proxies that are trusted.
    pub(super) fn address(&self, headers: &HeaderMap) -> IpAddr {
        if self.places.trusts(self.peer) {
            return self.places.forwarded(headers);
        }
        if self.peer.is_loopback() && headers.contains_key(FORWARDED) {
            self.places.0.warned.call_once(|| {
                warn!(
                    "a proxy on this machine forwards requests, and trusted_proxies does not name it: clients are not limited by their address"
                );
            });
        }
        self.peer
    }

    /// Whether the request is answered, and the client that it is counted for until then.
    pub(super) fn admit(&self, is_health_check: bool, headers: &HeaderMap) -> Result<Option<Client>, Refused> {
        if self.spare && !is_health_check {
            return Err(Refused::Full);
        }
        // Health checks of the proxy itself must not depend on what its clients do.
        if is_health_check || !self.places.trusts(self.peer) {
            return Ok(None);
        }
        self.places.client(self.places.forwarded(headers))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.client.take();
        self.gate.places.0.taken.lock().open.remove(&self.id);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock();
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_address_has_its_share_and_this_machine_and_proxies_have_all() {
        let places = Places::new(100, 2, vec!["10.0.0.0/8".parse().unwrap()]);
        let take = |from: &str| places.take(ip(from), &Activity::new());
        let first = take("192.0.2.1").unwrap();
        let _second = take("::ffff:192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").err(), Some(Refused::Address));
        drop(first);
        assert!(take("192.0.2.1").is_ok());
        let _others = [take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap(), take("2001:db8:0:1::1").unwrap()];
        assert_eq!(take("2001:db8::3").err(), Some(Refused::Address));
        let _many: Vec<Place> = ["127.0.0.1", "::1", "10.1.2.3"]
            .iter()
            .flat_map(|from| [take(from), take(from), take(from)])
            .flatten()
            .collect();
        assert_eq!(places.0.taken.lock().open.len(), 1 + 3 + 9);
    }

    #[test]
    fn the_clients_of_a_trusted_proxy_are_counted_by_their_requests() {
        let places = Places::new(100, 1, vec!["10.0.0.1/32".parse().unwrap(), "10.0.0.2/32".parse().unwrap()]);
        let proxy = places.take(ip("10.0.0.1"), &Activity::new()).unwrap();
        assert_eq!(proxy.gate.address(&headers(&["203.0.113.9, 192.0.2.1"])), ip("192.0.2.1"));
        assert_eq!(proxy.gate.address(&headers(&["10.0.0.2, 10.0.0.1"])), ip("10.0.0.2"), "a proxy that asks itself");
        let ask = |lines: &[&str]| proxy.gate.admit(false, &headers(lines));
        let one = ask(&["198.51.100.7, 192.0.2.1", "10.0.0.2"]).unwrap();
        assert_eq!(
            one.as_ref().map(|client| client.address),
            Some(ip("192.0.2.1")),
            "not what the client wrote itself"
        );
        assert_eq!(ask(&["192.0.2.1:4711"]).err(), Some(Refused::Address));
        assert!(ask(&["[2001:db8::1]:80"]).unwrap().is_some());
        drop(one);
        assert!(ask(&["192.0.2.1"]).is_ok());
        assert!(proxy.gate.admit(true, &headers(&["192.0.2.1"])).unwrap().is_none(), "health checks are not counted");
        let stranger = places.take(ip("192.0.2.9"), &Activity::new()).unwrap();
        assert_eq!(stranger.gate.address(&headers(&["192.0.2.1"])), ip("192.0.2.9"));
        assert!(stranger.gate.admit(false, &headers(&["192.0.2.1"])).unwrap().is_none(), "it may write what it wants");
    }

    #[test]
    fn clients_that_a_proxy_does_not_name_readably_count_as_one() {
        let places = Places::new(100, 1, vec!["127.0.0.1/32".parse().unwrap(), "0.0.0.0/32".parse().unwrap()]);
        let proxy = places.take(ip("127.0.0.1"), &Activity::new()).unwrap();
        let odd: [&[&[u8]]; 10] = [
            &[],
            &[b""],
            &[b"unknown"],
            &[b"203.0.113.7, unknown"],
            &[b"203.0.113.7, \xe9"],
            &[b"203.0.113.7,"],
            &[b"203.0.113.7", b"_hidden, 127.0.0.1"],
            &[b"203.0.113.7, 127.0.0.2"],
            &[b"127.0.0.1"],
            &[b"::1, 127.0.0.1"],
        ];
        let headers = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED, HeaderValue::from_bytes(line).unwrap());
            }
            headers
        };
        let _one = proxy.gate.admit(false, &HeaderMap::new()).unwrap().unwrap();
        for lines in odd {
            assert_eq!(proxy.gate.address(&headers(lines)), UNKNOWN, "{lines:?}");
            assert_eq!(proxy.gate.admit(false, &headers(lines)).err(), Some(Refused::Address), "{lines:?}");
        }
        let own: &[&[u8]] = &[b"\xe9, 203.0.113.7"];
        assert_eq!(proxy.gate.address(&headers(own)), ip("203.0.113.7"), "what a client writes itself does not matter");
    }

    #[test]
    fn when_all_places_are_taken_idle_connections_make_room_and_busy_ones_do_not() {
        let places = Places::new(2, 1000, Vec::new());
        let (busy, idle) = (Activity::new(), Activity::new());
        let _answering = busy.begin();
        let take = |activity: &Activity| places.take(ip("192.0.2.1"), activity).unwrap();
        let _first = take(&busy);
        let second = take(&idle);
        let third = take(&busy);
        assert!(!third.gate.spare && idle.must_make_room() && !busy.must_make_room());
        drop(second);
        let fourth = take(&busy);
        assert!(fourth.gate.spare);
        assert_eq!(fourth.gate.admit(false, &HeaderMap::new()).err(), Some(Refused::Full));
        assert!(fourth.gate.admit(true, &HeaderMap::new()).is_ok());
        let more: Vec<Place> = (0..100).map_while(|_| places.take(ip("192.0.2.1"), &busy).ok()).collect();
        assert_eq!(more.len(), SPARE - 1);
    }
}
