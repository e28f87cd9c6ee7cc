//! Lists that are sorted, page by page.

use std::time::Duration;

use serde_json::{Value, json};

use crate::store::{OWN_FOLDER, Store, User};

/// Everybody sees and changes what is theirs.
const OWN: &str = "
    CREATE POLICY buckets ON storage.buckets FOR SELECT USING (TRUE);
    CREATE POLICY own ON storage.objects FOR ALL TO authenticated
        USING (owner_id = auth.uid()::text) WITH CHECK (owner_id = auth.uid()::text);
";

async fn put(store: &Store, user: &User, name: &str) {
    store.clock.advance(Duration::from_secs(1));
    let put = store.post(&format!("/object/notes/{name}")).bearer(&user.token).with("x-upsert", "true");
    assert_eq!(put.body(name.as_bytes().to_vec()).send().await.status, 200, "{name}");
}

/// A page: names, folders with a `/` behind them, as they stand; and where the next one begins.
async fn page(store: &Store, user: &User, body: &Value) -> (Vec<String>, Option<String>) {
    let answer = store.post("/object/list-v2/notes").bearer(&user.token).json(body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let keys = |list: &str| {
        let list = answer[list].as_array().unwrap().clone();
        list.into_iter().map(|one| one["key"].as_str().unwrap().to_owned())
    };
    let next = answer["nextCursor"].as_str().map(str::to_owned);
    assert_eq!(answer["hasNext"], json!(next.is_some()));
    (keys("folders").chain(keys("objects")).collect(), next)
}

async fn all(store: &Store, user: &User, mut body: Value, limit: usize) -> Vec<String> {
    let mut seen = Vec::new();
    body["limit"] = json!(limit);
    loop {
        let (names, next) = page(store, user, &body).await;
        assert!(names.len() <= limit);
        seen.extend(names);
        match next {
            Some(next) => body["cursor"] = json!(next),
            None => return seen,
        }
    }
}

fn sorted(column: &str, order: &str, folders: bool, prefix: &str) -> Value {
    json!({"prefix": prefix, "with_delimiter": folders, "sortBy": {"column": column, "order": order}})
}

/// As `listV2` sorts, whatever the length of a page; and of others' objects nothing, their times included.
#[tokio::test]
async fn pages_are_sorted_by_name_and_by_time() {
    let store = Store::with(OWN).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    put(&store, &bob, "f/of-bob").await;
    for name in ["f/2", "c", "a", "f/1", "d/x/y", "b", "d/z", "f-3"] {
        put(&store, &ann, name).await;
    }
    put(&store, &bob, "zz").await;
    // Again: changed last, made before.
    put(&store, &ann, "c").await;
    let cases: [(&str, bool, &str, &[&str]); 9] = [
        ("name", false, "", &["a", "b", "c", "d/x/y", "d/z", "f-3", "f/1", "f/2"]),
        ("name", true, "", &["a", "b", "c", "d/", "f-3", "f/"]),
        ("name", true, "f", &["f-3", "f/"]),
        ("created_at", false, "", &["f/2", "c", "a", "f/1", "d/x/y", "b", "d/z", "f-3"]),
        ("updated_at", false, "", &["f/2", "a", "f/1", "d/x/y", "b", "d/z", "f-3", "c"]),
        ("updated_at", false, "d/", &["d/x/y", "d/z"]),
        ("created_at", true, "", &["f/", "c", "a", "d/", "b", "f-3"]),
        ("updated_at", true, "", &["f/", "a", "d/", "b", "f-3", "c"]),
        ("created_at", true, "d/", &["d/x/", "d/z"]),
    ];
    for (column, folders, prefix, wanted) in cases {
        for (order, backwards) in [("asc", false), ("desc", true)] {
            let mut wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            if backwards {
                wanted.reverse();
            }
            for limit in [1, 2, 3, 100] {
                let mut found = all(&store, &ann, sorted(column, order, folders, prefix), limit).await;
                // Folders stand before objects in an answer.
                if folders && limit > 1 {
                    found.sort();
                    wanted.sort();
                }
                assert_eq!(found, wanted, "{column} {order} {folders} {prefix:?} by {limit}");
            }
        }
    }
    // Two objects of one moment have an order as well.
    for name in ["t/2", "t/1", "t/3"] {
        let put = store.post(&format!("/object/notes/{name}")).bearer(&ann.token).body(b"x".to_vec());
        assert_eq!(put.send().await.status, 200);
    }
    assert_eq!(all(&store, &ann, sorted("created_at", "desc", false, "t/"), 1).await, ["t/3", "t/2", "t/1"]);
}

/// What comes and goes between two pages moves no other entry.
#[tokio::test]
async fn a_cursor_stands_where_it_stood() {
    let store = Store::with(OWN).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for name in ["b", "d", "f", "h"] {
        put(&store, &ann, name).await;
    }
    for (column, order) in [("name", "asc"), ("name", "desc"), ("created_at", "asc"), ("updated_at", "desc")]
    {
        let mut body = sorted(column, order, false, "");
        body["limit"] = json!(2);
        let (first, next) = page(&store, &ann, &body).await;
        let gone = first[1].clone();
        let removed = store.ask("DELETE", &format!("/object/notes/{gone}")).bearer(&ann.token).send().await;
        assert_eq!(removed.status, 200);
        body["cursor"] = json!(next);
        let (second, end) = page(&store, &ann, &body).await;
        assert_eq!((second.len(), end), (2, None), "{column} {order}: {first:?} {second:?}");
        assert!(second.iter().all(|name| !first.contains(name)));
        store.clock.advance(Duration::from_secs(1));
        store.execute(&format!("DELETE FROM storage_objects WHERE name = '{gone}'")).await;
        put(&store, &ann, &gone).await;
    }
}

/// attack V02: a cursor of another list, of nobody's, or of a place outside of the prefix.
#[tokio::test]
async fn cursors_are_read_with_care() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let store = Store::with(OWN).await;
    store.bucket("notes", &json!({})).await;
    let ann = store.user("ann@example.com").await;
    for name in ["a/1", "b/1", "b/2", "b/3", "c/1"] {
        put(&store, &ann, name).await;
    }
    let mut body = sorted("created_at", "asc", false, "b/");
    body["limit"] = json!(1);
    let (_, next) = page(&store, &ann, &body).await;
    let written = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for (column, order, cursor) in [
        ("created_at", "desc", next.clone().unwrap()),
        ("name", "asc", next.unwrap()),
        ("name", "asc", "no cursor".to_owned()),
        ("name", "asc", written("b/1")),
        ("name", "asc", written(r#"{"by":"name","order":"asc","name":"a","more":1}"#)),
        ("created_at", "asc", written(r#"{"by":"created_at","order":"asc","at":"\u0000","name":"a"}"#)),
        ("name", "asc", "x".repeat(5_000)),
    ] {
        let mut body = sorted(column, order, false, "b/");
        body["cursor"] = json!(cursor);
        let refused = store.post("/object/list-v2/notes").bearer(&ann.token).json(&body).send().await;
        assert_eq!(refused.told().1, "InvalidRequest", "{cursor}: {}", refused.text());
    }
    for (column, order, cursor) in [
        ("name", "asc", r#"{"by":"name","order":"asc","name":""}"#),
        ("name", "desc", r#"{"by":"name","order":"desc","name":"zzz"}"#),
        ("created_at", "asc", r#"{"by":"created_at","order":"asc","at":"' OR 1=1 --","name":"x"}"#),
        ("created_at", "desc", r#"{"by":"created_at","order":"desc","at":"no time","name":"x"}"#),
    ] {
        let mut body = sorted(column, order, false, "b/");
        body["cursor"] = json!(written(cursor));
        let (names, _) = page(&store, &ann, &body).await;
        assert!(names.iter().all(|name| name.starts_with("b/")), "{cursor}: {names:?}");
    }
    for sort in [json!({"column": "owner"}), json!({"column": "name", "order": "up"})] {
        let body = json!({"prefix": "", "sortBy": sort});
        let refused = store.post("/object/list-v2/notes").bearer(&ann.token).json(&body).send().await;
        assert_eq!(refused.told().1, "InvalidRequest", "{}", refused.text());
    }
}

/// No list, by whatever it is sorted or cut, shows a name that its reader may not see.
#[tokio::test]
async fn no_list_shows_a_hidden_name() {
    let store = Store::with(OWN_FOLDER).await;
    store.bucket("notes", &json!({})).await;
    let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
    put(&store, &ann, &format!("{}/secret/plan.txt", ann.id)).await;
    put(&store, &bob, &format!("{}/mine.txt", bob.id)).await;
    let inside = format!("{}/", ann.id);
    for prefix in ["", ann.id.as_str(), inside.as_str(), &format!("{inside}secret/")] {
        for column in ["name", "created_at", "updated_at"] {
            for (order, folders) in [("asc", true), ("desc", true), ("asc", false), ("desc", false)] {
                let found = all(&store, &bob, sorted(column, order, folders, prefix), 1).await;
                assert!(found.iter().all(|name| name.starts_with(&bob.id)), "{column} {prefix}: {found:?}");
            }
        }
        for search in ["", "secret", "plan", &ann.id[..4]] {
            let body = json!({"prefix": prefix, "search": search});
            let listed = store.post("/object/list/notes").bearer(&bob.token).json(&body).send().await;
            assert!(!listed.text().contains(&ann.id) && !listed.text().contains("plan"), "{}", listed.text());
        }
        for path in ["/object/list/notes", "/object/list-v2/notes"] {
            let anyone = store.post(path).json(&json!({"prefix": prefix})).send().await;
            assert!(!anyone.text().contains("plan") && !anyone.text().contains(&ann.id), "{}", anyone.text());
        }
    }
}
