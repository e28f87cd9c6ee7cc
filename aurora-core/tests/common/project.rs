//! The keys of a project that exists nowhere else: for tests alone.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a failing fixture fails the test")]

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) const EC: &str = r#"{"kty":"EC","x":"UgzJRPKOpGJ37EwFRaefsY2jromD8mO3z4IZ5bR7bBQ","y":"fM0joJ-bHlDaV-omSjhFxtKoBXMaNPhYgXle4_m4qQc","crv":"P-256","d":"X9HP62i9Ip-KE0pjKXtwXjQdrNmonxqixxbWmdfwnXk","kid":"project-ec","alg":"ES256","key_ops":["sign","verify"]}"#;
pub(crate) const ED: &str = r#"{"crv":"Ed25519","d":"WB3bsnc9PwBL12f3k8bnv6J5oP92xI27Uzj0_udAyKQ","x":"niHaN5YpiefekY8lBUsXb7lnFeuqJKGLI9R7ssgtk3I","kty":"OKP","kid":"project-ed","alg":"EdDSA"}"#;
pub(crate) const RSA: &str = r#"{"kty":"RSA","n":"wVBuV1dXp1-PdPm2p4mdOEDNPGvc06-svMhVbZRkWr5TRDkwsWlOUSIbC7l2HYuqsP90ZOB542wVcWPTytEneAk2lUMbdrrf3c66ft5K4c7aflUMdusADaapVmUDw0fuGAT-5jm2MRWLQnjRqTNuf2o-jJOOfpZk85JDMeTSPpgYRS9ExiajftQAQlXw5BIrv3I5Ee-zlaQhwOahNzIIx3I4yKL4q-u1fw7dx2mMGJlmFbnspJKuwB1zclCktFbHPHmA-MUNmwNVpkL-rinskyU3Cs8TFVdJ6PFumOYuX3oKpFeK5ie_wzcM5VP1mzwBKDPv8NIWX4wqZTZt6jn_aw","e":"AQAB","d":"BUGgnnNbiMuKZQ3dL5UIV107t2bfbEockk2INSCR0f3W2cYMUuagIIii36C9W3ROwd1QVuXbqplnw9uJCLzDK_pkJ47ZklLmf2t9mrGEq7sqKcE6Q4mESNq9RAIfJhIwoSqRm8T59T-2t6n9WXJykLhc1wm0GDESsaTKevLT3KvN70efauStboKbYe2HHaNSDtDRkxPhZi5V9-V9L97-2ZPT5LDe9-5psM082V1yQvDG1sLTZc5ADIoDHyrecnWRjBtgKgOLdwKfWaIkHgXuUy0Iec751eUO0W_ayare3cpndjY7imKJg6BabPHSr9rLX9YMMUB74Qo9PWBZp3TcwQ","p":"6zHdLz0q_682KM4-quc_waI9cBbRVd16lRhBngwwSCHB1g33O2sgNDj6g2BofDubwe2IT_3tB4mWlDID92tycEuxhymCLfRK2W0vJYlt321y813h-xo3__n1jzIrWpOeN2pcbYG_qlGXOKhfwX5Cnu9wY8dX62jfMQOchuqOGdE","q":"0mondf_rN1JXLUjczEjl_uzPl91Q3ZEgC-g4QCvXs1kqSMvM1GkbuI0zbwCtOAg6Anat_2XDjhpcZdVrMBxbADeds4EnFCaQfw8zxrtINlyqjotjhQlcGQS5LsUE4Or-aR4nr0LHfNrNN8A47OebiqSXS-dMCNdXUDTWqmcIGHs","dp":"POLtxbrqFMMBHFM4OfofsTsU-J2Pl9D8WPislAPHxASpL4byB_nVnm9ZuwUMR40O54dckIjGAfuGddr01-qC97tAvCLsxoTFk8AGQotvXDXzWjlltSG2eZf2EBoGyy4H-YSZZOf__FGe-lXsZCURjh-iUtJaWmEN1px-uxahruE","dq":"CE8g18wPYdPilWs3LOoECxkW6YxX0SgV9-JntkEE95Qh01YY9Jph-du5mDySmo_YmphNLrS6EDaCR5Mx9GhqP4vysk_7VxReyGW1SbfDlkH6ij5-45YHCQXiujIVizw8Z7JFJuqgLhIF4Jm6pcBPqB3vy5OKsR6v1_7-KyR-cVk","qi":"3fVd0WCy1QSJfzvrbpVz4SYD2XCgPWHk4Nr57qISP4BWlCEopiuLuLOietegustfwzTinEJJ8iWI2wJh48m0s1tffdCcP15-94bXydk7ihBalkAOteghE89H9grTJElXKpD5YG14zLovx-TTw7sUXNNEHeYSWkLXH8BhT7M1ySU","kid":"project-rsa","alg":"RS256","use":"sig"}"#;
/// HS256, in base64url, as a JWK has it.
pub(crate) const OCT: &str =
    r#"{"kty":"oct","k":"OXRRMnhWdzBuQjRtTGs3c0pkMWhHZjVhUHo4b0l1M3lSZTY","kid":"project-hs","alg":"HS256"}"#;
/// The same secret as a text.
pub(crate) const SECRET: &str = "9tQ2xVw0nB4mLk7sJd1hGf5aPz8oIu3yRe6";

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signed with HS256 under `secret`, whatever the header says.
pub(crate) fn hs256(header: &Value, payload: &Value, secret: &[u8]) -> String {
    let text = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", encode(tag.as_ref()))
}

/// Signed with [`EC`], whatever the header says.
pub(crate) fn es256(header: &Value, payload: &Value) -> String {
    let key: Value = serde_json::from_str(EC).expect("JSON");
    let member =
        |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("a member")).expect("base64url");
    let point = [vec![4], member("x"), member("y")].concat();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &member("d"), &point);
    let text = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
    let signature = pair.expect("a key").sign(&SystemRandom::new(), text.as_bytes()).expect("signs");
    format!("{text}.{}", encode(signature.as_ref()))
}

/// A project's `anon` or `service_role` key as Supabase's older projects have it.
pub(crate) fn legacy(role: &str) -> String {
    let claims = json!({ "iss": "supabase-demo", "role": role, "exp": 1_983_812_996 });
    hs256(&json!({ "alg": "HS256", "typ": "JWT" }), &claims, SECRET.as_bytes())
}

/// Part `number` of a token.
pub(crate) fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}
