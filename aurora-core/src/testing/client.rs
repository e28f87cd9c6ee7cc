use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::Aurora;
use crate::auth::{Auth, NewUser};
use crate::guard::Guarded;
use crate::session::Client;
use crate::types::{Code, RequestId, Result, Secret, UserId};
use crate::validate::Email;

/// Signs in as anyone.
#[derive(Clone, Debug)]
pub struct TestClient {
    aurora: Aurora,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct TestUser {
    user: UserId,
    token: Secret,
    refresh: Secret,
    guarded: Guarded,
}

impl TestClient {
    /// For this Aurora.
    pub fn new(aurora: &Aurora) -> Self {
        Self { aurora: aurora.clone() }
    }

    /// Signs in as the user with this address, who is created, confirmed and without a password, if there is none.
    pub async fn sign_in(&self, email: &str) -> Result<TestUser> {
        let auth = self.aurora.auth();
        let email: Email = email.parse()?;
        // Asked first: to create somebody who is there would be recorded as refused.
        let user = match auth.user_id(&email).await? {
            Some((user, _)) => user,
            None => created(auth, email).await?,
        };
        let client = Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), RequestId::from_bytes([0; 16]));
        let session = auth.open_session(user, &client).await?;
        let principal = auth.sessions().admit(session.access_token.expose()).await?;
        Ok(TestUser {
            user,
            token: session.access_token,
            refresh: session.refresh_token,
            guarded: self.aurora.guarded(principal),
        })
    }
}

async fn created(auth: &Auth, email: Email) -> Result<UserId> {
    let new = NewUser {
        email: email.clone(),
        password_hash: None,
        confirmed: true,
        user_metadata: None,
        app_metadata: None,
    };
    match auth.create_user(new).await {
        Ok(account) => Ok(account.id()),
        // By another task in this moment.
        Err(error) if error.code() == Code::EmailExists => Ok(auth.user_id(&email).await?.ok_or(error)?.0),
        Err(error) => Err(error),
    }
}

impl TestUser {
    /// Who.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// An access token for `Authorization: Bearer ..`.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// The session's refresh token.
    pub fn refresh_token(&self) -> &Secret {
        &self.refresh
    }

    /// The header's value: `Bearer <token>`.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    /// A handle that acts as this user.
    pub fn guarded(&self) -> &Guarded {
        &self.guarded
    }
}

impl fmt::Debug for TestUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestUser").field("user", &self.user).finish_non_exhaustive()
    }
}
