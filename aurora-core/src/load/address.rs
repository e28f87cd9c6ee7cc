use std::net::{IpAddr, SocketAddr};

use crate::config::Network;

/// More hops than any honest chain has; what lies beyond is not looked at.
const MAX_HOPS: usize = 32;

/// The address a request comes from: the socket's `peer`, or, when that is one of the `trusted` proxies, the last
/// address in `X-Forwarded-For` that is not.
///
/// The header is walked from the right, several of them as one list: each proxy appends what it saw, so what
/// stands left of the first untrusted address is whatever the client liked to send. `Forwarded`, `X-Real-IP` and
/// their kin are not read. An entry that is no address ends the walk.
pub fn client_address(peer: IpAddr, headers: &http::HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines = headers.get_all("x-forwarded-for");
    let mut lines: Vec<&[u8]> = lines.iter().map(http::HeaderValue::as_bytes).collect();
    lines.reverse();
    let hops = lines.into_iter().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for hop in hops.take(MAX_HOPS) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|text| parse(text.trim())) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, some proxies add the port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

/// What one sender's buckets are keyed by: an IPv4 address, or the first 64 bits of an IPv6 one, since a
/// customer's whole /64 is one sender. An IPv4 address written as IPv6 is the same sender.
pub fn address_key(address: IpAddr) -> [u8; 9] {
    let (kind, [a, b, c, d, e, f, g, h]) = match address.to_canonical() {
        IpAddr::V4(v4) => (4, u64::from(v4.to_bits()).to_be_bytes()),
        IpAddr::V6(v6) => (6, ((v6.to_bits() >> 64) as u64).to_be_bytes()),
    };
    [kind, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn client(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).expect("header"));
        }
        headers.append("forwarded", HeaderValue::from_static("for=6.6.6.6"));
        headers.append("x-real-ip", HeaderValue::from_static("6.6.6.6"));
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().expect("network")).collect();
        client_address(peer.parse().expect("peer"), &headers, &trusted).to_string()
    }

    /// attack T01, asvs(V4.1.3, V15.3.4)
    #[test]
    fn forwarded_headers_count_only_behind_declared_proxies() {
        let proxies = &["10.0.0.0/8", "fd00::/8"];
        assert_eq!(client("203.0.113.9", &["1.1.1.1"], &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &["1.1.1.1"], proxies), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[], proxies), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.4"], proxies), "198.51.100.4");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.4, 10.0.0.2"], proxies), "198.51.100.4");
        assert_eq!(client("10.0.0.1", &["198.51.100.4:5123"], proxies), "198.51.100.4");
        assert_eq!(client("fd00::1", &["[2001:db8::7]:443"], proxies), "2001:db8::7");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.4"], proxies), "198.51.100.4");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, unknown"], proxies), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, \u{e9}, 10.0.0.3"], proxies), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &["10.0.0.9, 10.0.0.3"], proxies), "10.0.0.9");
        let long = vec!["10.0.0.4"; 10_000].join(",");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", &long], proxies), "10.0.0.4");
    }

    /// attack T02
    #[test]
    fn one_sender_is_one_key() {
        let key = |text: &str| address_key(text.parse().expect("address"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(key("0.0.0.1"), key("::1"));
    }
}
