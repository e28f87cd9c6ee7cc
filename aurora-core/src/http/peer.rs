use std::net::{IpAddr, SocketAddr};

/// The other end of the socket, as the adapter saw it. Headers do not change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(IpAddr);

impl Peer {
    /// Its address.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::from(address.ip())
    }
}
