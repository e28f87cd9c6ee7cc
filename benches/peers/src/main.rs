//! `decision`: "owner OR admin OR team(8)" in process, Aurora beside hand-written Rust, Cedar, casbin and regorus.
//!
//! Equal answers are asserted first. Each engine runs twice: with what it keeps of the user and the document built
//! once (`cedar`), and with both built for every call from the host's own structs (`cedar-from-row`). Aurora's
//! counterparts are a bound policy on a borrowed row, and claims, facts, binding and decision anew for every row.
//! casbin has one form: it serialises its request itself.
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

use casbin::{CoreApi as _, DefaultModel, Enforcer};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use decision::{Case, Means, User, cases, hand, ours, ours_anew, side};
use measure::Side;

fn main() {
    measure::pinned(run());
}

async fn run() {
    let compiled = decision::compiled();
    let policies = cedar_policies();
    let authorizer = Authorizer::new();
    let enforcer = enforcer().await;
    let mut engine = rego();
    let mut anew = rego();
    let mut means = Means::new();
    for case in cases() {
        let bound = compiled.bind(&decision::facts(&compiled, &case.user)).unwrap();
        let (request, entities) = cedar_request(&case);
        let cedar = |request: &Request, entities: &Entities| {
            authorizer.is_authorized(request, &policies, entities).decision() == Decision::Allow
        };
        let mut quick =
            [hand("handwritten", &case), hand("handwritten-again", &case), ours("aurora", &bound, &case)];
        means.case(&case, &mut quick, 20_000).await;
        let input = rego_input(&case);
        let mut slow: Vec<Side<'_>> = vec![
            // Once more, so that it takes turns with the peers.
            ours("aurora-beside-peers", &bound, &case),
            side("cedar", || cedar(black_box(&request), black_box(&entities)), case.allowed),
            side("casbin", || enforce(&enforcer, black_box(&case)), case.allowed),
            side("regorus", || rego_allows(&mut engine, black_box(&input).clone()), case.allowed),
            ours_anew(&compiled, &case),
            side(
                "cedar-from-row",
                || {
                    let (request, entities) = cedar_request(black_box(&case));
                    cedar(&request, &entities)
                },
                case.allowed,
            ),
            side("regorus-from-row", || rego_allows(&mut anew, rego_input(black_box(&case))), case.allowed),
        ];
        means.case(&case, &mut slow, 300).await;
    }
    means.control("handwritten-again", "handwritten");
    means.ratio("decision/handwritten", "aurora", "handwritten", Some(5.0));
    for peer in ["cedar", "casbin", "regorus"] {
        means.ratio(&format!("decision/{peer}"), "aurora-beside-peers", peer, Some(1.0));
    }
    for (peer, against) in
        [("cedar", "cedar-from-row"), ("casbin", "casbin"), ("regorus", "regorus-from-row")]
    {
        means.ratio(&format!("decision/{peer}-from-row"), "aurora-from-row", against, Some(1.0));
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

fn cedar_request(case: &Case) -> (Request, Entities) {
    let User { id, role, teams } = &case.user;
    let (user, doc, action) = (cedar_uid("User", id), cedar_uid("Doc", "1"), cedar_uid("Action", "read"));
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let teams = RestrictedExpression::new_set(teams.iter().map(|team| text(team)));
    let user_fields = [("role".to_owned(), text(role)), ("teams".to_owned(), teams)];
    let owner = RestrictedExpression::new_entity_uid(cedar_uid("User", &case.doc.owner));
    let doc_fields = [("owner".to_owned(), owner), ("team".to_owned(), text(&case.doc.team))];
    let entities = Entities::from_entities(
        [
            Entity::new(user.clone(), user_fields.into(), HashSet::new()).unwrap(),
            Entity::new(doc.clone(), doc_fields.into(), HashSet::new()).unwrap(),
        ],
        None,
    );
    (Request::new(user, action, doc, Context::empty(), None).unwrap(), entities.unwrap())
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

fn enforce(enforcer: &Enforcer, case: &Case) -> bool {
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

fn rego_input(case: &Case) -> regorus::Value {
    let User { id, role, teams } = &case.user;
    let json = serde_json::json!({
        "user": { "id": id, "role": role, "teams": teams },
        "doc": { "owner": case.doc.owner, "team": case.doc.team },
    });
    regorus::Value::from_json_str(&json.to_string()).unwrap()
}

fn rego_allows(engine: &mut regorus::Engine, input: regorus::Value) -> bool {
    engine.set_input(input);
    engine.eval_rule("data.authz.allow".into()).unwrap() == regorus::Value::from(true)
}
