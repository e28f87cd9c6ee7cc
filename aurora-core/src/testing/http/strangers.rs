//! The host's own routes, gone over as it declared them.

use std::net::SocketAddr;

use super::wire::{Ask, Line};
use crate::http::{Access, HostRoutes};
use crate::types::{Error, Result};

/// Asks a served service for each route that the host declared, without a token: what it said is behind the lock must
/// answer 401, and what it said is public must not. Answers how many were asked for.
///
/// A test of the host's calls it with the table that it hands to
/// [`Builder::routes`](crate::Builder::routes): no route without its denial test.
///
/// # Errors
/// The first route that is not as it was declared.
pub async fn refuses_strangers(address: SocketAddr, routes: &HostRoutes) -> Result<usize> {
    refuses(&Line::plain(address), routes).await
}

pub(super) async fn refuses(line: &Line, routes: &HostRoutes) -> Result<usize> {
    let mut asked = 0;
    for route in routes.iter() {
        let path = filled(&route.path);
        let answer = Ask::new(route.method, &path).dated().send(line).await?;
        let is_refused = answer.status == 401;
        let wants_refusal = route.access != Access::Public;
        if is_refused != wants_refusal {
            let text = format!(
                "{} {path} is declared {} and answers a stranger with {}",
                route.method,
                route.access.as_str(),
                answer.status
            );
            return Err(Error::internal(text));
        }
        asked += 1;
    }
    Ok(asked)
}

/// A path with something in the place of each parameter.
fn filled(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "1".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
