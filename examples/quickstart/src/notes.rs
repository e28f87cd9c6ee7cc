//! Notes. No handler asks who may see a note: `Guarded` answers only with the caller's rows.

use aurora_axum::{
    Code, CurrentUser, Error, Guarded, Json, Load, Owned, Result, Timestamp, UserId, Valid, guard, types,
};
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use validator::Validate;

/// A note as the API shows it.
#[derive(Serialize, sqlx::FromRow)]
pub(crate) struct Note {
    id: i64,
    owner: UserId,
    team_id: Option<i64>,
    title: String,
    body: String,
    #[serde(rename = "public")]
    is_public: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What a new note is made of.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    #[validate(length(min = 1, max = 200, message = "must be 1 to 200 characters"))]
    title: String,
    #[serde(default)]
    #[validate(length(max = 20_000, message = "must be at most 20000 characters"))]
    body: String,
    #[serde(default)]
    team_id: Option<i64>,
    #[serde(default)]
    public: bool,
}

/// What of a note changes; the rest stays.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteChange {
    #[validate(length(min = 1, max = 200, message = "must be 1 to 200 characters"))]
    title: Option<String>,
    #[validate(length(max = 20_000, message = "must be at most 20000 characters"))]
    body: Option<String>,
    public: Option<bool>,
}

/// `GET /notes` and `GET /public/notes`: the newest 200 that the caller may see. Nobody signed in sees the
/// public ones.
pub(crate) async fn list(db: Guarded) -> Result<Json<Vec<Note>>> {
    let notes = db
        .query_as(
            "SELECT id, owner, team_id, title, body, is_public, created_at, updated_at
             FROM notes ORDER BY id DESC LIMIT 200",
        )
        .fetch_all()
        .await?;
    Ok(Json(notes))
}

/// `POST /notes`
pub(crate) async fn create(
    db: Guarded,
    user: CurrentUser,
    Valid(Json(new)): Valid<Json<NewNote>>,
) -> Result<(StatusCode, Json<Note>)> {
    let note = db
        .query_as(
            "INSERT INTO notes (owner, team_id, title, body, is_public) VALUES ($1, $2, $3, $4, $5)
             RETURNING id, owner, team_id, title, body, is_public, created_at, updated_at",
        )
        .bind(user.id())
        .bind(new.team_id)
        .bind(new.title)
        .bind(new.body)
        .bind(new.public)
        .fetch_one()
        .await
        .map_err(|error| match error.code() {
            // The policy refused the team: to the caller a team that is not theirs does not exist.
            Code::InsufficientPrivilege => missing("team"),
            _ => error.into(),
        })?;
    Ok((StatusCode::CREATED, Json(note)))
}

impl Load for Note {
    type Id = i64;
    const NAME: &'static str = "note";

    async fn load(db: &guard::Guarded, id: i64) -> types::Result<Option<Self>> {
        db.query_as(
            "SELECT id, owner, team_id, title, body, is_public, created_at, updated_at
             FROM notes WHERE id = $1",
        )
        .bind(id)
        .fetch_optional()
        .await
    }
}

/// `GET /notes/{id}`
pub(crate) async fn read(Owned(note): Owned<Note>) -> Json<Note> {
    Json(note)
}

/// `PATCH /notes/{id}`
pub(crate) async fn update(
    db: Guarded,
    Path(id): Path<String>,
    Valid(Json(change)): Valid<Json<NoteChange>>,
) -> Result<Json<Note>> {
    let note: Option<Note> = db
        .query_as(
            "UPDATE notes
             SET title = COALESCE($2, title), body = COALESCE($3, body), is_public = COALESCE($4, is_public),
                 updated_at = CURRENT_TIMESTAMP
             WHERE id = $1
             RETURNING id, owner, team_id, title, body, is_public, created_at, updated_at",
        )
        .bind(row_id(&id, "note")?)
        .bind(change.title)
        .bind(change.body)
        .bind(change.public)
        .fetch_optional()
        .await?;
    note.map(Json).ok_or_else(|| missing("note"))
}

/// `DELETE /notes/{id}`
pub(crate) async fn delete(db: Guarded, Path(id): Path<String>) -> Result<StatusCode> {
    let deleted = db.query("DELETE FROM notes WHERE id = $1").bind(row_id(&id, "note")?).execute().await?;
    match deleted.rows_affected() {
        0 => Err(missing("note")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// A row that is not there and a row that is not yours: one answer.
pub(crate) fn missing(what: &str) -> Error {
    Error::new(Code::NotFound, format!("no such {what}"))
}

/// The number in a path; anything else names no row.
pub(crate) fn row_id(text: &str, what: &str) -> Result<i64> {
    text.parse().map_err(|_| missing(what))
}
