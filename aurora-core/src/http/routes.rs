use http::Method;

/// A route of ours, below the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) operation: Operation,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    SignUp,
    Token,
    ReadUser,
    UpdateUser,
    SignOut,
    Settings,
    Health,
    Keys,
    ListSessions,
    EndSession,
    Recover,
    Otp,
    Resend,
    Verify,
    OpenLink,
    Press,
    Reauthenticate,
    Invite,
    ListUsers,
    CreateUser,
    ReadAnyUser,
    UpdateAnyUser,
    DeleteUser,
    GenerateLink,
    Authorize,
    LinkIdentity,
    UnlinkIdentity,
    SingleSignOn,
    Mailbox,
    MailboxJson,
    EnrollFactor,
    ChallengeFactor,
    VerifyFactor,
    RemoveFactor,
    ReadRecoveryCodes,
    GenerateRecoveryCodes,
    RegenerateRecoveryCodes,
    RemoveRecoveryCodes,
    VerifyRecoveryCode,
    ListFactors,
    DeleteFactor,
    CsrfToken,
}

impl Route {
    /// The method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path below the prefix; a part in braces stands for one segment.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Whether it wants a signed-in user. Every such route has a test in which it refuses.
    pub fn needs_user(&self) -> bool {
        use Operation::{
            ChallengeFactor, CsrfToken, EndSession, EnrollFactor, GenerateRecoveryCodes, LinkIdentity,
            ListSessions, ReadRecoveryCodes, ReadUser, Reauthenticate, RegenerateRecoveryCodes, RemoveFactor,
            RemoveRecoveryCodes, SignOut, UnlinkIdentity, UpdateUser, VerifyFactor, VerifyRecoveryCode,
        };
        matches!(
            self.operation,
            ReadUser
                | UpdateUser
                | SignOut
                | ListSessions
                | EndSession
                | Reauthenticate
                | LinkIdentity
                | UnlinkIdentity
                | EnrollFactor
                | ChallengeFactor
                | VerifyFactor
                | RemoveFactor
                | ReadRecoveryCodes
                | GenerateRecoveryCodes
                | RegenerateRecoveryCodes
                | RemoveRecoveryCodes
                | VerifyRecoveryCode
                | CsrfToken
        )
    }

    /// Whether it wants the service's own key. Every such route has a test in which it refuses a user.
    pub fn needs_service(&self) -> bool {
        use Operation::{
            CreateUser, DeleteFactor, DeleteUser, GenerateLink, Invite, ListFactors, ListUsers, ReadAnyUser,
            UpdateAnyUser,
        };
        matches!(
            self.operation,
            Invite
                | ListUsers
                | CreateUser
                | ReadAnyUser
                | UpdateAnyUser
                | DeleteUser
                | GenerateLink
                | ListFactors
                | DeleteFactor
        )
    }
}

const fn route(method: &'static str, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation }
}

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/signup", Operation::SignUp),
    route("POST", "/token", Operation::Token),
    route("GET", "/user", Operation::ReadUser),
    route("PUT", "/user", Operation::UpdateUser),
    route("POST", "/logout", Operation::SignOut),
    route("GET", "/settings", Operation::Settings),
    route("GET", "/health", Operation::Health),
    route("GET", "/.well-known/jwks.json", Operation::Keys),
    route("GET", "/sessions", Operation::ListSessions),
    route("DELETE", "/sessions/{id}", Operation::EndSession),
    route("POST", "/recover", Operation::Recover),
    route("POST", "/otp", Operation::Otp),
    route("POST", "/magiclink", Operation::Otp),
    route("POST", "/resend", Operation::Resend),
    route("POST", "/verify", Operation::Verify),
    route("GET", "/verify", Operation::OpenLink),
    route("POST", "/verify/link", Operation::Press),
    route("GET", "/reauthenticate", Operation::Reauthenticate),
    route("POST", "/invite", Operation::Invite),
    route("GET", "/admin/users", Operation::ListUsers),
    route("POST", "/admin/users", Operation::CreateUser),
    route("GET", "/admin/users/{id}", Operation::ReadAnyUser),
    route("PUT", "/admin/users/{id}", Operation::UpdateAnyUser),
    route("DELETE", "/admin/users/{id}", Operation::DeleteUser),
    route("POST", "/admin/generate_link", Operation::GenerateLink),
    route("GET", "/authorize", Operation::Authorize),
    route("GET", "/user/identities/authorize", Operation::LinkIdentity),
    route("DELETE", "/user/identities/{id}", Operation::UnlinkIdentity),
    route("POST", "/sso", Operation::SingleSignOn),
    route("GET", "/csrf", Operation::CsrfToken),
    route("GET", "/mailbox", Operation::Mailbox),
    route("GET", "/mailbox.json", Operation::MailboxJson),
    route("POST", "/factors", Operation::EnrollFactor),
    // Before the factor of that name, which there is none of.
    route("GET", "/factors/recovery-codes", Operation::ReadRecoveryCodes),
    route("POST", "/factors/recovery-codes", Operation::GenerateRecoveryCodes),
    route("DELETE", "/factors/recovery-codes", Operation::RemoveRecoveryCodes),
    route("POST", "/factors/recovery-codes/regenerate", Operation::RegenerateRecoveryCodes),
    route("POST", "/factors/recovery-codes/verify", Operation::VerifyRecoveryCode),
    route("POST", "/factors/{id}/challenge", Operation::ChallengeFactor),
    route("POST", "/factors/{id}/verify", Operation::VerifyFactor),
    route("DELETE", "/factors/{id}", Operation::RemoveFactor),
    route("GET", "/admin/users/{id}/factors", Operation::ListFactors),
    route("DELETE", "/admin/users/{id}/factors/{id}", Operation::DeleteFactor),
];

/// What a path and a method lead to.
pub(super) enum Match<'a> {
    /// The route, and what stands for its braces: a segment, or from the first to the second.
    Route(&'static Route, Option<&'a str>),
    /// The path is ours, the method is not: what `Allow` says.
    Method(String),
    Nothing,
}

/// Finds the route of a path below the prefix. HEAD goes where GET goes.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Match<'a> {
    let wanted = if *method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(segment) = matches(route.path, path) else { continue };
        if route.method == wanted {
            return Match::Route(route, segment);
        }
        allowed.push(route.method);
    }
    if allowed.is_empty() {
        return Match::Nothing;
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    Match::Method(allowed.join(", "))
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    match pattern.split_once("{id}") {
        None => (pattern == path).then_some(None),
        Some((before, after)) => {
            let rest = path.strip_prefix(before)?;
            let one = |segment: &str| !segment.is_empty() && !segment.contains('/');
            let Some((between, end)) = after.split_once("{id}") else {
                let segment = rest.strip_suffix(after)?;
                return one(segment).then_some(Some(segment));
            };
            let both = rest.strip_suffix(end)?;
            let (first, second) = both.split_once(between)?;
            (one(first) && one(second)).then_some(Some(both))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// attacks A08, T03, asvs(V4.1.4)
    #[test]
    fn paths_are_matched_as_they_are_written() {
        for path in ["//token", "/token/", "/Token", "/tok%65n", "/sessions/", "/sessions/a/b", "", "/"] {
            assert!(matches!(find(&Method::POST, path), Match::Nothing), "{path}");
        }
        assert!(matches!(find(&Method::POST, "/token"), Match::Route(route, None) if route.path == "/token"));
        assert!(matches!(find(&Method::HEAD, "/user"), Match::Route(route, None) if route.method == "GET"));
        assert!(matches!(find(&Method::DELETE, "/sessions/x"), Match::Route(_, Some("x"))));
        for path in
            ["/factors//verify", "/factors/a/b/verify", "/factors/a/verify/", "/factors/a/", "/factors/"]
        {
            assert!(matches!(find(&Method::POST, path), Match::Nothing), "{path}");
        }
        for (path, wanted) in [
            ("/factors/x/verify", Operation::VerifyFactor),
            ("/factors/recovery-codes/verify", Operation::VerifyRecoveryCode),
        ] {
            let found = find(&Method::POST, path);
            assert!(matches!(found, Match::Route(route, _) if route.operation == wanted), "{path}");
        }
        let found = find(&Method::DELETE, "/factors/recovery-codes");
        assert!(matches!(found, Match::Route(route, _) if route.operation == Operation::RemoveRecoveryCodes));
        let both = find(&Method::DELETE, "/admin/users/x/factors/y");
        assert!(matches!(both, Match::Route(_, Some("x/factors/y"))));
        for path in ["/admin/users/x/factors/", "/admin/users//factors/y", "/admin/users/x/factors/y/z"] {
            assert!(matches!(find(&Method::DELETE, path), Match::Nothing), "{path}");
        }
        assert!(matches!(find(&Method::GET, "/logout"), Match::Method(allow) if allow == "POST, OPTIONS"));
        assert!(
            matches!(find(&Method::PATCH, "/user"), Match::Method(allow) if allow == "GET, PUT, HEAD, OPTIONS")
        );
    }
}
