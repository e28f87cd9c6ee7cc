//! `decision`: "owner OR admin OR team(8)" in process, Aurora beside hand-written Rust, Cedar, casbin and regorus.
//!
//! Equal answers are asserted first. Each engine runs three times, with Aurora beside it each time:
//! - `cedar`: what it keeps of the user and the document, built once. Aurora: a bound policy on a borrowed row.
//! - `cedar-from-row`: the user built once, the document for every call from the host's own struct, as where a row
//!   goes out to many who listen. Aurora: the same bound policy, which reads the struct where it lies.
//! - `cedar-anew`: the user too is built for every call. Aurora: claims written and parsed, facts, binding and decision;
//!   `aurora-bound-anew` is the same without the writing, since a token brings its claims as text.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that fails should stop, and prints")]

#[path = "../../src/decision.rs"]
#[allow(dead_code, reason = "the bench without peers runs it too")]
mod decision;
#[path = "../../src/measure.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;

use std::collections::HashSet;
use std::hint::black_box;
use std::str::FromStr as _;

use casbin::rhai::Dynamic;
use casbin::rhai::serde::to_dynamic;
use casbin::{CoreApi as _, DefaultModel, Enforcer};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use decision::{Case, Means, User, cases, hand, ours, ours_anew, ours_bound_anew, side};
use measure::Side;

fn main() {
    measure::pinned(run());
}

async fn run() {
    let compiled = decision::compiled();
    let policies = cedar_policies();
    let authorizer = Authorizer::new();
    let enforcer = enforcer().await;
    let mut means = Means::new();
    for case in cases() {
        let principal = decision::principal(&case.user);
        let bound = compiled.bind(&decision::facts(&compiled, &principal, &case.user)).unwrap();
        let (user, doc) = (cedar_user(&case), cedar_doc(&case));
        let (request, entities) = cedar_request(&case.user.id, user.clone(), doc);
        let cedar = |request: &Request, entities: &Entities| {
            authorizer.is_authorized(request, &policies, entities).decision() == Decision::Allow
        };
        let mut quick =
            [hand("handwritten", &case), hand("handwritten-again", &case), ours("aurora", &bound, &case)];
        means.case(&case, &mut quick, 20_000).await;
        let (subject, object) = (casbin_subject(&case), casbin_object(&case));
        let input = rego_input(rego_user(&case), &case);
        let held = rego_user(&case);
        let (mut engine, mut from_row, mut anew) = (rego(), rego(), rego());
        let mut slow: Vec<Side<'_>> = vec![
            // Once more, so that it takes turns with the peers.
            ours("aurora-beside-peers", &bound, &case),
            side("cedar", || cedar(black_box(&request), black_box(&entities)), case.allowed),
            side("casbin", || enforce(&enforcer, black_box(&subject), black_box(&object)), case.allowed),
            side("regorus", || rego_allows(&mut engine, black_box(&input).clone()), case.allowed),
            side(
                "cedar-from-row",
                || {
                    let doc = cedar_doc(black_box(&case));
                    let (request, entities) = cedar_request(&case.user.id, black_box(&user).clone(), doc);
                    cedar(&request, &entities)
                },
                case.allowed,
            ),
            side(
                "casbin-from-row",
                || enforce(&enforcer, black_box(&subject), &casbin_object(black_box(&case))),
                case.allowed,
            ),
            side(
                "regorus-from-row",
                || rego_allows(&mut from_row, rego_input(black_box(&held).clone(), black_box(&case))),
                case.allowed,
            ),
            ours_bound_anew(&compiled, &principal, &case),
            ours_anew(&compiled, &case),
            side(
                "cedar-anew",
                || {
                    let case = black_box(&case);
                    let (request, entities) = cedar_request(&case.user.id, cedar_user(case), cedar_doc(case));
                    cedar(&request, &entities)
                },
                case.allowed,
            ),
            side("casbin-anew", || enforce_anew(&enforcer, black_box(&case)), case.allowed),
            side(
                "regorus-anew",
                || {
                    let case = black_box(&case);
                    rego_allows(&mut anew, rego_input(rego_user(case), case))
                },
                case.allowed,
            ),
        ];
        means.case(&case, &mut slow, 300).await;
    }
    means.control("handwritten-again", "handwritten");
    means.ratio("decision/handwritten", "aurora", "handwritten", Some(5.0));
    for peer in ["cedar", "casbin", "regorus"] {
        means.ratio(&format!("decision/{peer}"), "aurora-beside-peers", peer, Some(1.0));
    }
    for peer in ["cedar", "casbin", "regorus"] {
        let name = format!("{peer}-from-row");
        means.ratio(&format!("decision/{name}"), "aurora-beside-peers", &name, Some(1.0));
    }
    for peer in ["cedar", "casbin", "regorus"] {
        let name = format!("{peer}-anew");
        means.ratio(&format!("decision/{name}"), "aurora-all-anew", &name, None);
        means.ratio(&format!("decision/{name}/claims-as-text"), "aurora-bound-anew", &name, None);
    }
}

// ---- Cedar -------------------------------------------------------------------------------------------------

fn cedar_policies() -> PolicySet {
    r#"permit(principal, action == Action::"read", resource) when { resource.owner == principal };
       permit(principal, action == Action::"read", resource) when { principal.role == "admin" };
       permit(principal, action == Action::"read", resource) when { principal.teams.contains(resource.team) };"#
        .parse()
        .unwrap()
}

fn cedar_uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), cedar_policy::EntityId::new(id))
}

fn cedar_text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn cedar_user(case: &Case) -> Entity {
    let User { id, role, teams } = &case.user;
    let teams = RestrictedExpression::new_set(teams.iter().map(|team| cedar_text(team)));
    let fields = [("role".to_owned(), cedar_text(role)), ("teams".to_owned(), teams)];
    Entity::new(cedar_uid("User", id), fields.into(), HashSet::new()).unwrap()
}

fn cedar_doc(case: &Case) -> Entity {
    let owner = RestrictedExpression::new_entity_uid(cedar_uid("User", &case.doc.owner));
    let fields = [("owner".to_owned(), owner), ("team".to_owned(), cedar_text(&case.doc.team))];
    Entity::new(cedar_uid("Doc", "1"), fields.into(), HashSet::new()).unwrap()
}

fn cedar_request(user: &str, entity: Entity, doc: Entity) -> (Request, Entities) {
    let (user, action) = (cedar_uid("User", user), cedar_uid("Action", "read"));
    let request = Request::new(user, action, doc.uid(), Context::empty(), None).unwrap();
    (request, Entities::from_entities([entity, doc], None).unwrap())
}

// ---- casbin ------------------------------------------------------------------------------------------------

#[derive(Clone, Hash, serde::Serialize)]
struct Subject {
    id: String,
    role: String,
    teams: Vec<String>,
}

#[derive(Clone, Hash, serde::Serialize)]
struct Object {
    owner: String,
    team: String,
}

async fn enforcer() -> Enforcer {
    let model = DefaultModel::from_str(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[policy_effect]\n\
         e = some(where (p.eft == allow))\n[matchers]\nm = r.act == \"read\" && (r.sub.id == r.obj.owner || \
         r.sub.role == \"admin\" || r.obj.team in r.sub.teams)",
    );
    Enforcer::new(model.await.unwrap(), ()).await.unwrap()
}

/// A value that casbin's interpreter has already.
#[derive(Clone)]
struct Held(Dynamic);

impl From<Held> for Dynamic {
    fn from(held: Held) -> Self {
        held.0
    }
}

/// For its cache, which is not in use here.
impl std::hash::Hash for Held {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

fn casbin_subject(case: &Case) -> Held {
    let User { id, role, teams } = case.user.clone();
    Held(to_dynamic(Subject { id, role, teams }).unwrap())
}

fn casbin_object(case: &Case) -> Held {
    Held(to_dynamic(Object { owner: case.doc.owner.clone(), team: case.doc.team.clone() }).unwrap())
}

fn enforce(enforcer: &Enforcer, subject: &Held, object: &Held) -> bool {
    enforcer.enforce(vec![subject.clone(), object.clone(), Held("read".into())]).unwrap()
}

fn enforce_anew(enforcer: &Enforcer, case: &Case) -> bool {
    let User { id, role, teams } = case.user.clone();
    let object = Object { owner: case.doc.owner.clone(), team: case.doc.team.clone() };
    enforcer.enforce((Subject { id, role, teams }, object, "read")).unwrap()
}

// ---- regorus -----------------------------------------------------------------------------------------------

fn rego() -> regorus::Engine {
    let mut engine = regorus::Engine::new();
    let policy = "package authz\nimport rego.v1\ndefault allow := false\n\
                  allow if input.doc.owner == input.user.id\nallow if input.user.role == \"admin\"\n\
                  allow if input.doc.team in input.user.teams";
    engine.add_policy("a.rego".into(), policy.into()).unwrap();
    engine
}

fn rego_user(case: &Case) -> regorus::Value {
    let User { id, role, teams } = &case.user;
    let json = serde_json::json!({ "id": id, "role": role, "teams": teams });
    regorus::Value::from_json_str(&json.to_string()).unwrap()
}

fn rego_input(user: regorus::Value, case: &Case) -> regorus::Value {
    let text = |text: &str| regorus::Value::from(text.to_owned());
    let doc = [("owner", text(&case.doc.owner)), ("team", text(&case.doc.team))];
    let object = |pairs: [(&str, regorus::Value); 2]| {
        let pairs = pairs.into_iter().map(|(name, value)| (text(name), value));
        regorus::Value::from(pairs.collect::<std::collections::BTreeMap<_, _>>())
    };
    object([("user", user), ("doc", object(doc))])
}

fn rego_allows(engine: &mut regorus::Engine, input: regorus::Value) -> bool {
    engine.set_input(input);
    engine.eval_rule("data.authz.allow".into()).unwrap() == regorus::Value::from(true)
}
