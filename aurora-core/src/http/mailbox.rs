use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
};
use serde_json::{Value, json};

use super::Http;
use super::handlers::{Answer, ok};
use super::render::empty_response;
use crate::config::Profile;
use crate::mail::{Rendered, escape};
use crate::types::{Code, Error, Result};

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222}\
article{border-top:1px solid #ccc;padding:1rem 0}h2{font-size:1.1rem;margin:0}\
.about{color:#666;font-size:.85rem;margin:.2rem 0}pre{font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;\
padding:.8rem;border-radius:.4rem}code{font-size:1.2rem;letter-spacing:.1em}a{overflow-wrap:anywhere}";

/// The mailbox of development: what would have been sent, for a person and for a test.
impl Http {
    pub(super) fn mailbox_page(&self) -> Answer {
        let mails = self.kept_mails()?;
        let articles: String = mails.iter().map(article).collect();
        let none = if mails.is_empty() {
            "<p>No mail yet. Reload the page when there should be one.</p>\n"
        } else {
            ""
        };
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Mailbox</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<h1>Mailbox</h1>\n\
             <p>Mails of this development service, the last hundred, newest first. None of them left this machine.</p>\n\
             {none}{articles}</body>\n</html>\n"
        );
        let mut response = empty_response(StatusCode::OK);
        *response.body_mut() = page.into_bytes();
        guarded(response.headers_mut())?;
        Ok(response)
    }

    pub(super) fn mailbox_json(&self) -> Answer {
        let mails: Vec<Value> = self.kept_mails()?.iter().map(in_json).collect();
        ok(json!({ "mails": mails }).to_string())
    }

    /// As if there were no such route, unless it is development that shows its mails.
    fn kept_mails(&self) -> Result<Vec<Rendered>> {
        let mailbox = self.auth().outbox().mailbox();
        let mailbox = mailbox.filter(|_| self.auth().settings().profile == Profile::Development);
        Ok(mailbox.ok_or_else(|| Error::new(Code::NotFound, "No such route"))?.mails())
    }
}

fn article(mail: &Rendered) -> String {
    let link = mail.link.as_deref().map(|link| {
        let link = escape(link);
        format!("<p><a href=\"{link}\" rel=\"noreferrer\">{link}</a></p>\n")
    });
    let code = mail.code.as_deref().map(|code| format!("<p>Code: <code>{}</code></p>\n", escape(code)));
    format!(
        "<article id=\"{}\">\n<h2>{}</h2>\n<p class=\"about\">to {} at <time>{}</time>, {}</p>\n{}{}<pre>{}</pre>\n\
         </article>\n",
        escape(&mail.id),
        escape(&mail.subject),
        escape(mail.to.as_str()),
        mail.created_at,
        mail.kind,
        link.unwrap_or_default(),
        code.unwrap_or_default(),
        escape(&mail.text),
    )
}

fn in_json(mail: &Rendered) -> Value {
    json!({
        "id": mail.id,
        "kind": mail.kind.as_str(),
        "to": mail.to.as_str(),
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "link": mail.link,
        "code": mail.code,
        "created_at": mail.created_at.to_string(),
    })
}

/// Nothing on the page runs, loads, posts or is framed, and no link tells where it was followed.
fn guarded(headers: &mut HeaderMap) -> Result<()> {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).map_err(Error::internal)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    Ok(())
}
