//! Decides which IP addresses may be called, after the host name was resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, and the allowed networks.
    PublicOrAllowed,
    /// The allowed networks only, for requests without encryption.
    AllowedOnly,
}

/// The addresses that may be called.
#[derive(Clone, Debug)]
pub struct Addresses {
    allowed: Vec<IpNet>,
}

/// Networks that are not public: this network, private, loopback, link-local, shared (CGNAT),
/// protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved.
const CLOSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Networks within 2000::/3 that are not public: protocol assignments (including Teredo),
/// documentation, 6to4, documentation. Outside of 2000::/3 nothing is public.
const CLOSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The addresses of NAT64 (RFC 6052, 2.1), through which networks with IPv6 alone reach IPv4 addresses.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// The IPv4 address that an address of NAT64 leads to; else the address itself.
fn destination(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) if Ipv6Net::new_assert(NAT64.0, NAT64.1).contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        ip => ip,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !CLOSED_V4.iter().any(|(net, bits)| Ipv4Net::new_assert(*net, *bits).contains(&ip)),
        IpAddr::V6(ip) => {
            let global = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3).contains(&ip);
            global && !CLOSED_V6.iter().any(|(net, bits)| Ipv6Net::new_assert(*net, *bits).contains(&ip))
        }
    }
}

impl Addresses {
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether this address may be called. A mapped IPv6 address is permitted only if its IPv4
    /// address is in the allowed networks, because such addresses are not published. An address of
    /// NAT64 is permitted if its IPv4 address is.
    pub fn permits(&self, ip: IpAddr, reach: Reach) -> bool {
        let ip = destination(ip);
        self.allows(ip) || (reach == Reach::PublicOrAllowed && is_public(ip))
    }

    /// Whether this address is in the allowed networks.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = destination(ip);
        let canonical = ip.to_canonical();
        self.allowed.iter().any(|net| net.contains(&canonical) || net.contains(&ip))
    }
}

/// The host name resolves to an address that may not be called.
#[derive(Debug, thiserror::Error)]
#[error("the host name resolves to an address that may not be called")]
pub struct Blocked;

/// The host name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the host name could not be resolved")]
pub struct Unresolved;

/// Resolves host names, and refuses a name if any of its addresses may not be called. Deciding
/// here ensures that the address that was checked is the one that is connected to.
pub struct GuardedResolver {
    pub addresses: Arc<Addresses>,
    pub reach: Reach,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (addresses, reach) = (Arc::clone(&self.addresses), self.reach);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| Unresolved)?.collect();
            if found.is_empty() {
                return Err(Unresolved.into());
            }
            if found.iter().any(|address| !addresses.permits(address.ip(), reach)) {
                return Err(Blocked.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
