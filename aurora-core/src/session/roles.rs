use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::store::{Reader, RoleRow};
use crate::types::{Error, Principal, Result, RoleName, SessionId, Timestamp, UserId};

use super::token::VerifiedToken;

pub(crate) use super::token::{USER_PERMISSIONS, USER_ROLES};

/// The rows of one answer.
const PAGE: usize = 10_000;

/// What every role gives, and whose roles changed lately: what tokens say is corrected by it.
#[derive(Debug, Default)]
pub(super) struct RolePicture {
    state: RwLock<State>,
    /// Counts the changes of `state`, so that a token which was looked at since the last one costs one comparison.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// What each role lets its holders do.
    gives: HashMap<String, BTreeSet<String>>,
    /// Users whose roles changed: the last change's number, and when it was seen.
    changed: HashMap<UserId, (i64, Timestamp)>,
    /// The last number seen.
    sequence: i64,
    /// The last number of a change of a role itself.
    defined: i64,
    loaded: bool,
}

/// A token that verified, and whom it stands for with the roles that they hold by now.
pub(super) struct Seen {
    pub(super) principal: Principal,
    pub(super) session: SessionId,
    pub(super) expires_at: Timestamp,
    /// What the token says, before it is corrected.
    token: Arc<str>,
    user: UserId,
    roles: Vec<String>,
    /// Every change up to this number is in `principal`.
    as_of: i64,
    /// The picture's generation when that was last asked.
    asked: AtomicU64,
}

impl Seen {
    /// What it holds, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.principal.claims().len() + self.token.len()
    }

    /// Whether it names roles that are there.
    pub(super) fn claims_roles(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Whose it is.
    pub(super) fn user(&self) -> UserId {
        self.user
    }
}

impl RolePicture {
    /// Reads what changed, with the reader that asks for ended sessions anyway.
    pub(super) async fn fetch(&self, reader: &mut dyn Reader, now: Timestamp, keep: Duration) -> Result<()> {
        let (mut last, first) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            (state.sequence, !state.loaded)
        };
        let (mut users, mut defined) = (HashMap::new(), None);
        loop {
            let rows = reader.role_changes(last).await?;
            for row in &rows {
                last = row.sequence;
                match row.user {
                    Some(user) => {
                        users.insert(user, (row.sequence, now));
                    }
                    None => defined = Some(row.sequence),
                }
            }
            if rows.len() < PAGE {
                break;
            }
        }
        // After the changes: whatever is read now is at least as new as they are.
        let roles = if first || defined.is_some() { Some(reader.roles().await?) } else { None };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.changed.len();
        state.changed.retain(|_, (_, at)| now.since(*at) <= keep);
        let forgot = state.changed.len() != before;
        if users.is_empty() && roles.is_none() && !forgot {
            return Ok(());
        }
        state.changed.extend(users);
        state.sequence = last;
        if let Some(roles) = roles {
            state.gives = roles.iter().map(gives).collect();
            state.defined = defined.unwrap_or(state.defined);
            state.loaded = true;
        }
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Whether what was made of a token still holds.
    pub(super) fn is_current(&self, seen: &Seen) -> bool {
        let generation = self.generation.load(Ordering::Acquire);
        if seen.asked.load(Ordering::Acquire) == generation {
            return true;
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let changed = state.changed.get(&seen.user).is_some_and(|(sequence, _)| *sequence > seen.as_of);
        let defined = !seen.roles.is_empty() && state.defined > seen.as_of;
        if changed || defined {
            return false;
        }
        seen.asked.store(generation, Ordering::Release);
        true
    }

    /// What a token that just verified says, corrected unless it has to be asked for first.
    pub(super) fn first_look(&self, token: &VerifiedToken) -> Result<Seen> {
        let said = token.roles().map(<[String]>::to_vec);
        // Nothing is known of what was changed before this token was issued: whoever is among the changed is asked.
        self.made(token.user(), token.session(), token.expires_at(), token.claims(), said, 0)
    }

    /// The number up to which changes are known.
    pub(super) fn sequence(&self) -> i64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).sequence
    }

    /// Whether the user's roles have to be read for it; else only what they give changed.
    pub(super) fn has_to_ask(&self, seen: &Seen) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.changed.get(&seen.user).is_some_and(|(sequence, _)| *sequence > seen.as_of)
    }

    /// The same with the roles that were read, or those it has.
    pub(super) fn corrected(&self, seen: &Seen, read: Option<Vec<RoleName>>, as_of: i64) -> Result<Seen> {
        let roles = match read {
            Some(roles) => roles.iter().map(ToString::to_string).collect(),
            None => seen.roles.clone(),
        };
        self.made(seen.user, seen.session, seen.expires_at, &seen.token, Some(roles), as_of)
    }

    fn made(
        &self,
        user: UserId,
        session: SessionId,
        expires_at: Timestamp,
        token: &Arc<str>,
        roles: Option<Vec<String>>,
        as_of: i64,
    ) -> Result<Seen> {
        let (claims, roles) = match roles {
            None => (Arc::clone(token), Vec::new()),
            Some(mut roles) => {
                let mut gives = BTreeSet::new();
                let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
                // A role that is not there any more is none, whatever a token says.
                roles.retain(|role| state.gives.contains_key(role));
                gives.extend(roles.iter().filter_map(|role| state.gives.get(role)).flatten().cloned());
                drop(state);
                (Arc::from(laid_over(token, &roles, gives)?), roles)
            }
        };
        let principal = Principal::signed_in(user, session, claims);
        let asked = AtomicU64::new(u64::MAX);
        Ok(Seen { principal, session, expires_at, token: Arc::clone(token), user, roles, as_of, asked })
    }
}

fn gives(role: &RoleRow) -> (String, BTreeSet<String>) {
    (role.name.to_string(), role.permissions.iter().map(ToString::to_string).collect())
}

/// The claims with these roles and what they give; without either where there is none.
fn laid_over(claims: &str, roles: &[String], gives: BTreeSet<String>) -> Result<String> {
    let mut members: Map<String, Value> = serde_json::from_str(claims).map_err(Error::internal)?;
    members.remove(USER_ROLES);
    members.remove(USER_PERMISSIONS);
    if !roles.is_empty() {
        members.insert(USER_ROLES.to_owned(), roles.iter().cloned().map(Value::String).collect());
    }
    if !gives.is_empty() {
        members.insert(USER_PERMISSIONS.to_owned(), gives.into_iter().map(Value::String).collect());
    }
    Ok(Value::Object(members).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_roles_are_ours_alone() {
        let token = r#"{"sub":"x","user_roles":["admin"],"user_permissions":["all"]}"#;
        assert_eq!(laid_over(token, &[], BTreeSet::new()).unwrap(), r#"{"sub":"x"}"#);
        let gives = BTreeSet::from(["notes.edit".to_owned(), "notes.delete".to_owned()]);
        assert_eq!(
            laid_over(token, &["editor".to_owned()], gives).unwrap(),
            r#"{"sub":"x","user_permissions":["notes.delete","notes.edit"],"user_roles":["editor"]}"#
        );
    }
}
