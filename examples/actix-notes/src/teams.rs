//! Teams and their members.

use actix_web::http::StatusCode;
use actix_web::web::{Json, Path};
use aurora_actix::{CurrentUser, Guarded, Result, Timestamp, UserId, Valid};
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::notes::{missing, row_id};

/// A team as the API shows it, with the caller's own role in it.
#[derive(Serialize, sqlx::FromRow)]
pub(crate) struct Team {
    id: i64,
    name: String,
    owner: UserId,
    role: String,
    created_at: Timestamp,
}

/// One person in a team.
#[derive(Serialize, sqlx::FromRow)]
pub(crate) struct Member {
    team_id: i64,
    user_id: UserId,
    role: String,
    created_at: Timestamp,
}

/// What a new team is made of.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTeam {
    #[validate(length(min = 1, max = 100, message = "must be 1 to 100 characters"))]
    name: String,
}

/// Who joins a team. An admin may delete every note of the team.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    user_id: UserId,
    #[serde(default)]
    role: Role,
}

/// What a member may do.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[default]
    Member,
    Admin,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Founded {
    id: i64,
    name: String,
    owner: UserId,
    created_at: Timestamp,
}

/// `GET /teams`: the caller's teams.
pub(crate) async fn list(db: Guarded, user: CurrentUser) -> Result<Json<Vec<Team>>> {
    let teams = db
        .query_as(
            "SELECT t.id, t.name, t.owner, m.role, t.created_at
             FROM teams t JOIN members m ON m.team_id = t.id AND m.user_id = $1
             ORDER BY t.name, t.id",
        )
        .bind(user.id())
        .fetch_all()
        .await?;
    Ok(Json(teams))
}

/// `POST /teams`: the founder owns the team and is its first admin, both or neither.
pub(crate) async fn create(
    db: Guarded,
    user: CurrentUser,
    Valid(Json(new)): Valid<Json<NewTeam>>,
) -> Result<(Json<Team>, StatusCode)> {
    let founder = user.id();
    let mut tx = db.begin().await?;
    let team: Founded = tx
        .query_as("INSERT INTO teams (name, owner) VALUES ($1, $2) RETURNING id, name, owner, created_at")
        .bind(new.name)
        .bind(founder)
        .fetch_one()
        .await?;
    tx.query("INSERT INTO members (team_id, team_owner, user_id, role) VALUES ($1, $2, $2, $3)")
        .bind(team.id)
        .bind(founder)
        .bind(Role::Admin.as_str())
        .execute()
        .await?;
    tx.commit().await?;
    let Founded { id, name, owner, created_at } = team;
    Ok((
        Json(Team { id, name, owner, role: Role::Admin.as_str().to_owned(), created_at }),
        StatusCode::CREATED,
    ))
}

/// `GET /teams/{id}/members`: everybody for the owner, oneself for a member.
pub(crate) async fn members(db: Guarded, id: Path<String>) -> Result<Json<Vec<Member>>> {
    let members: Vec<Member> = db
        .query_as(
            "SELECT team_id, user_id, role, created_at FROM members
             WHERE team_id = $1 ORDER BY created_at, user_id",
        )
        .bind(row_id(&id, "team")?)
        .fetch_all()
        .await?;
    if members.is_empty() { Err(missing("team")) } else { Ok(Json(members)) }
}

/// `POST /teams/{id}/members`: the owner adds a person by their user id.
pub(crate) async fn add_member(
    db: Guarded,
    user: CurrentUser,
    id: Path<String>,
    Valid(Json(new)): Valid<Json<NewMember>>,
) -> Result<(Json<Member>, StatusCode)> {
    let member: Option<Member> = db
        .query_as(
            "INSERT INTO members (team_id, team_owner, user_id, role)
             SELECT t.id, t.owner, $2, $3 FROM teams t WHERE t.id = $1 AND t.owner = $4
             RETURNING team_id, user_id, role, created_at",
        )
        .bind(row_id(&id, "team")?)
        .bind(new.user_id)
        .bind(new.role.as_str())
        .bind(user.id())
        .fetch_optional()
        .await?;
    // No row of teams to insert from: not there, or not theirs.
    member.map(|member| (Json(member), StatusCode::CREATED)).ok_or_else(|| missing("team"))
}
