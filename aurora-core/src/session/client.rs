use std::net::IpAddr;

use crate::types::RequestId;
use crate::validate::printable;

/// Where a request comes from: what sessions and audit records keep of it.
#[derive(Clone, Debug)]
pub struct Client {
    address: IpAddr,
    user_agent: Option<String>,
    request: RequestId,
}

impl Client {
    /// A client at `address` (behind proxies: the one that [`client_address`](crate::load::client_address) finds).
    pub fn new(address: IpAddr, request: RequestId) -> Self {
        Self { address: address.to_canonical(), user_agent: None, request }
    }

    /// What it says about itself: at most 256 characters are kept, none of which can break a line.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = Some(printable(user_agent, 256));
        self
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What it says about itself.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The request.
    pub fn request(&self) -> RequestId {
        self.request
    }
}
