//! Admission of a token, cold and warm, against a bare signature verification by the same library.

use std::rc::Rc;
use std::sync::Arc;

use aurora_core::Aurora;
use aurora_core::Database;
use aurora_core::config::Profile;
use aurora_core::testing::TestClient;
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::data::Folder;
use crate::measure::{Side, compare};

const ROUNDS: usize = 300;
const PER_ROUND: u32 = 12;

pub(crate) async fn run() {
    let folder = Folder::new("admit");
    let url = format!("sqlite://{}", folder.0.join("app.db").display());
    let aurora = Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&url).unwrap())
        .build()
        .await
        .unwrap();
    let client = TestClient::new(&aurora);
    let mut tokens = Vec::new();
    // Every cold round needs tokens that were never seen: each opens a session of its own.
    for _ in 0..ROUNDS as u32 * PER_ROUND + PER_ROUND {
        tokens.push(client.sign_in("bench@example.com").await.unwrap().token().expose().to_owned());
    }
    // Another Aurora over the same file: it has seen none of them.
    let aurora = Aurora::builder()
        .profile(Profile::Development)
        .database(Database::url(&url).unwrap())
        .build()
        .await
        .unwrap();
    let tokens = Rc::new(tokens);
    let jwks: serde_json::Value = serde_json::from_str(&aurora.auth().jwks_json()).unwrap();
    let jwk = &jwks["keys"][0];
    let key =
        DecodingKey::from_ec_components(jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap()).unwrap();
    let key = Rc::new(key);

    let bare = |name: &'static str| -> Side<'_> {
        let (tokens, key) = (Rc::clone(&tokens), Rc::clone(&key));
        (
            name,
            Box::new(move |n| {
                let (tokens, key) = (Rc::clone(&tokens), Rc::clone(&key));
                Box::pin(async move {
                    for i in 0..n as usize {
                        let token = &tokens[i % tokens.len()];
                        let (message, signature) = token.rsplit_once('.').unwrap();
                        assert!(
                            jsonwebtoken::crypto::verify(
                                signature,
                                message.as_bytes(),
                                &key,
                                Algorithm::ES256
                            )
                            .unwrap()
                        );
                    }
                })
            }),
        )
    };
    let cold_next = Rc::new(std::cell::Cell::new(0_usize));
    let sessions = Arc::new(aurora.auth().sessions().clone());
    let (all, next, them) = (Rc::clone(&tokens), Rc::clone(&cold_next), Arc::clone(&sessions));
    let cold: Side<'_> = (
        "cold",
        Box::new(move |n| {
            let (tokens, next, sessions) = (Rc::clone(&all), Rc::clone(&next), Arc::clone(&them));
            Box::pin(async move {
                for _ in 0..n {
                    let at = next.get();
                    next.set(at + 1);
                    sessions.admit(&tokens[at]).await.unwrap();
                }
            })
        }),
    );
    compare("admit-cold", 1.2, &mut [bare("bare"), bare("bare again"), cold], ROUNDS, PER_ROUND).await;

    let all = Rc::clone(&tokens);
    let warm: Side<'_> = (
        "warm",
        Box::new(move |n| {
            let (tokens, sessions) = (Rc::clone(&all), Arc::clone(&sessions));
            Box::pin(async move {
                for _ in 0..n {
                    sessions.admit(&tokens[0]).await.unwrap();
                }
            })
        }),
    );
    compare("admit-warm", 0.2, &mut [bare("bare"), bare("bare again"), warm], 150, 500).await;
}
