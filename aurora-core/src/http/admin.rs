use http::Response;
use http::header::{HeaderName, HeaderValue, LINK};
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Http;
use super::admit::{Presented, no_bearer};
use super::body::{decoded, read_json};
use super::handlers::{Answer, ok};
use super::mailed::come_back;
use super::phone::{Asks, without_phone};
use super::routes::Operation;
use crate::auth::{Account, Ban, GeneratedLink, LinkWish, UserPatch};
use crate::session::{ApiScope, Client};
use crate::types::{Code, Error, Principal, Result, Role, Secret, UserId};

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const PAGE: i64 = 50;

#[derive(Deserialize)]
struct AdminUserBody {
    id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    role: Option<String>,
    password: Option<Secret>,
    password_hash: Option<Secret>,
    email_confirm: Option<bool>,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    ban_duration: Option<String>,
}

#[derive(Deserialize)]
struct DeleteBody {
    should_soft_delete: Option<bool>,
}

#[derive(Deserialize)]
struct InviteBody {
    email: Option<String>,
    data: Option<Map<String, Value>>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

#[derive(Deserialize)]
struct LinkBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    password: Option<Secret>,
    new_email: Option<String>,
    data: Option<Map<String, Value>>,
    redirect_to: Option<String>,
}

/// `/admin/*` and `/invite`: for the service's own key.
impl Http {
    pub(super) async fn administer(
        &self,
        operation: Operation,
        segment: Option<&str>,
        head: &Parts,
        body: &[u8],
        client: &Client,
    ) -> Answer {
        self.only_service(head, client).await?;
        let auth = self.auth().within(client);
        let user = || {
            let id = segment.and_then(|segment| segment.parse::<UserId>().ok());
            id.ok_or_else(|| Error::new(Code::ValidationFailed, "user_id must be an UUID"))
        };
        match operation {
            Operation::ListUsers => self.list_users(head).await,
            Operation::CreateUser => {
                let body: AdminUserBody = read_json(&head.headers, body)?;
                let id = body.id.as_deref().map(str::parse).transpose()?;
                ok(auth.add_user(id, body.patch()?).await?.to_json()?)
            }
            Operation::ReadAnyUser => ok(auth.account(user()?).await?.to_json()?),
            Operation::UpdateAnyUser => {
                let body: AdminUserBody = read_json(&head.headers, body)?;
                ok(auth.change_user(user()?, body.patch()?).await?.to_json()?)
            }
            Operation::DeleteUser => {
                let soft = if body.is_empty() {
                    false
                } else {
                    let body: DeleteBody = read_json(&head.headers, body)?;
                    body.should_soft_delete.unwrap_or(false)
                };
                if soft {
                    auth.retire_user(user()?).await?
                } else {
                    auth.delete_user(user()?).await?
                }
                ok("{}".to_owned())
            }
            Operation::Invite => {
                let body: InviteBody = read_json(&head.headers, body)?;
                let email = wanted(body.email)?;
                let back = come_back(head, body.code_challenge, body.code_challenge_method)?;
                ok(auth.invite(&email, text(body.data), back).await?.to_json()?)
            }
            Operation::GenerateLink => {
                let body: LinkBody = read_json(&head.headers, body)?;
                let mut back = come_back(head, None, None)?;
                back.redirect_to = body.redirect_to.clone().or(back.redirect_to);
                let email = wanted(body.email.clone())?;
                ok(link_json(&auth.generate_link(&email, body.wish()?, back).await?)?)
            }
            Operation::ListFactors => ok(auth.account(user()?).await?.factors_json()),
            Operation::DeleteFactor => self.delete_factor(&auth, segment).await,
            _ => Err(Error::internal("no operation of the service's")),
        }
    }

    /// The service itself; whoever else is told what they are not.
    async fn only_service(&self, head: &Parts, client: &Client) -> Result<()> {
        match self.presented(&head.headers)? {
            Presented::Key(Role::Service, key) => {
                let (path, from) = (head.uri.path(), client.address());
                self.record_service(key, ApiScope::Auth, path, from, client.request()).await
            }
            Presented::Key(..) => Err(self.refuse_admin(None, head, client).await),
            Presented::Token(token, _) => {
                let principal = self.auth().sessions().admit(token).await?;
                Err(self.refuse_admin(Some(&principal), head, client).await)
            }
            Presented::Nothing => Err(no_bearer()),
        }
    }

    /// Records who tried, once for users and once for others per address and minute: the record that everybody may
    /// cause is no flood.
    async fn refuse_admin(&self, principal: Option<&Principal>, head: &Parts, client: &Client) -> Error {
        let now = self.auth().sessions().parts().clock.now();
        // Beside the hashes of keys, none of which is this.
        let whose = [u8::from(principal.is_some()); 32];
        let write = self.auth().record_refused_admin(principal, head.uri.path(), client);
        match self.refusals().once((whose, client.address()), now, write).await {
            Ok(()) => not_admin(),
            Err(error) => error,
        }
    }

    async fn list_users(&self, head: &Parts) -> Answer {
        let number = |name: &str, otherwise: i64| -> Result<i64> {
            match decoded(head.uri.query(), name)?.filter(|text| !text.is_empty()) {
                None => Ok(otherwise),
                Some(text) => text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                    Error::new(Code::ValidationFailed, format!("`{name}` must be a number from 1"))
                }),
            }
        };
        let page = number("page", 1)?;
        let per_page = number("per_page", PAGE)?.min(1000);
        let (users, count) = self.auth().list_users(page, per_page).await?;
        let users: Result<Vec<Value>> = users.iter().map(value).collect();
        let mut response = ok(json!({ "users": users?, "aud": "authenticated" }).to_string())?;
        paging(&mut response, &format!("{}/admin/users", self.prefix()), page, per_page, count)?;
        Ok(response)
    }
}

impl AdminUserBody {
    fn patch(self) -> Result<UserPatch> {
        without_phone(self.phone.as_deref(), Asks::Change)?;
        if self.role.is_some_and(|role| !matches!(role.as_str(), "" | "authenticated")) {
            return Err(Error::new(Code::ValidationFailed, "`role` must be authenticated"));
        }
        Ok(UserPatch {
            email: self.email,
            email_confirm: self.email_confirm.unwrap_or(false),
            password: self.password.filter(|password| !password.expose().is_empty()),
            password_hash: self.password_hash.filter(|hash| !hash.expose().is_empty()),
            user_metadata: text(self.user_metadata),
            app_metadata: text(self.app_metadata),
            ban: self.ban_duration.as_deref().map(Ban::parse).transpose()?,
        })
    }
}

impl LinkBody {
    fn wish(self) -> Result<LinkWish> {
        let data = text(self.data);
        let new_email = || {
            let missing = || Error::new(Code::ValidationFailed, "`new_email` is required");
            self.new_email.clone().filter(|email| !email.is_empty()).ok_or_else(missing)
        };
        match self.kind.as_deref().unwrap_or_default() {
            "signup" => {
                let missing = || Error::new(Code::ValidationFailed, "Signup requires a valid password");
                Ok(LinkWish::Signup { password: self.password.ok_or_else(missing)?, data })
            }
            "invite" => Ok(LinkWish::Invite { data }),
            "magiclink" => Ok(LinkWish::MagicLink { data }),
            "recovery" => Ok(LinkWish::Recovery),
            "email_change_current" => Ok(LinkWish::EmailChangeCurrent { new_email: new_email()? }),
            "email_change_new" => Ok(LinkWish::EmailChangeNew { new_email: new_email()? }),
            _ => {
                let sentence = "`type` must be signup, invite, magiclink, recovery, email_change_current or \
                    email_change_new";
                Err(Error::new(Code::ValidationFailed, sentence))
            }
        }
    }
}

/// The user's members, and the link's beside them.
fn link_json(link: &GeneratedLink) -> Result<String> {
    let mut members = value(&link.account)?;
    if let Value::Object(members) = &mut members {
        for (name, text) in [
            ("action_link", link.link.expose()),
            ("email_otp", link.code.expose()),
            ("hashed_token", link.token.expose()),
            ("redirect_to", &link.redirect_to),
            ("verification_type", link.kind),
        ] {
            members.insert(name.to_owned(), json!(text));
        }
    }
    Ok(members.to_string())
}

fn value(account: &Account) -> Result<Value> {
    serde_json::from_str(&account.to_json()?).map_err(Error::internal)
}

/// The official client reads the character after the first `=`: `page` comes first (auth-js `GoTrueAdminApi`).
fn paging(response: &mut Response<Vec<u8>>, path: &str, page: i64, per_page: i64, count: i64) -> Result<()> {
    let last = count.saturating_add(per_page - 1).checked_div(per_page).unwrap_or(1).max(1);
    let link = |page: i64, rel: &str| format!("<{path}?page={page}&per_page={per_page}>; rel=\"{rel}\"");
    let mut links = Vec::new();
    if page < last {
        links.push(link(page + 1, "next"));
    }
    links.push(link(last, "last"));
    let headers = response.headers_mut();
    headers.insert(LINK, HeaderValue::try_from(links.join(", ")).map_err(Error::internal)?);
    headers.insert(TOTAL, HeaderValue::from(count));
    Ok(())
}

fn text(data: Option<Map<String, Value>>) -> Option<String> {
    data.map(|data| Value::Object(data).to_string())
}

fn wanted(email: Option<String>) -> Result<String> {
    let missing = || Error::new(Code::ValidationFailed, "An email address is required");
    email.filter(|email| !email.is_empty()).ok_or_else(missing)
}

fn not_admin() -> Error {
    Error::new(Code::NotAdmin, "User not allowed")
}
