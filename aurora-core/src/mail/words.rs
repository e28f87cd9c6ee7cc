//! What Aurora's own mails say. Text and HTML are made from the same blocks, so that they agree.

use super::message::Kind;
use super::template::{Template, escape};

/// A part of a mail.
#[derive(Clone, Copy)]
enum Block {
    /// A paragraph. Lines are broken for the plain text.
    Say(&'static str),
    /// The link, and what its button says.
    Link(&'static str),
    /// The code, to be typed.
    Code,
}

use Block::{Code, Link, Say};

const ONCE: Block = Say("Both can be used once, within {{ lifetime }}.");
const OR_TYPE: Block = Say("Or type this code where you were asked for it:");
const NEVER_ASK: Block = Say("Nobody from our side will ever ask you for the code.");

pub(super) fn template(kind: Kind) -> Template {
    let (subject, blocks) = words(kind);
    Template { subject: subject.to_owned(), text: text(blocks), html: html(subject, blocks) }
}

fn words(kind: Kind) -> (&'static str, &'static [Block]) {
    match kind {
        Kind::Confirmation | Kind::MagicLink | Kind::Invite => welcome(kind),
        Kind::Recovery | Kind::Reauthentication => return_to(kind),
        Kind::EmailChangeCurrent | Kind::EmailChangeNew | Kind::EmailChanged => address(kind),
        Kind::AlreadyRegistered => (
            "You already have an account",
            &[
                Say(
                    "Someone tried to sign up with this address at\n{{ site }}\nYou have an account there already, \
                     so nothing was changed.",
                ),
                Say("If it was you, sign in as usual, or ask for a new password if you forgot yours."),
                Say(
                    "If it was not you, there is nothing to do: whoever it was learned nothing about your account.",
                ),
            ],
        ),
        Kind::PasswordChanged => (
            "Your password was changed",
            &[
                Say(
                    "The password of your account at\n{{ site }}\nwas changed on {{ time }}. Your other devices were \
                     signed out.",
                ),
                Say("If it was you, there is nothing to do."),
                Say(
                    "If it was not you, somebody else has got into your account. Ask for a new password on the \
                     sign-in page now, and change the password of your mailbox, too.",
                ),
            ],
        ),
        Kind::FactorEnrolled => (
            "A second factor was added",
            &[
                Say(
                    "A second factor was added to your account at\n{{ site }}\non {{ time }}. From now on it is asked \
                     for when you sign in.",
                ),
                Say(
                    "If it was not you, somebody else is in your account: change your password now, sign out all \
                     devices, and remove the factor you do not know.",
                ),
            ],
        ),
        Kind::FactorRemoved => (
            "A second factor was removed",
            &[
                Say(
                    "A second factor was removed from your account at\n{{ site }}\non {{ time }}. Without it your \
                     password alone signs you in.",
                ),
                Say(
                    "If it was not you, somebody else is in your account: change your password now, sign out all \
                     devices, and add a factor of your own.",
                ),
            ],
        ),
        Kind::RecoveryCodesChanged => (
            "Your recovery codes were changed",
            &[
                Say(
                    "The recovery codes of your account at\n{{ site }}\nwere made anew or removed on {{ time }}.\n\
                     Those that you had before are no longer good.",
                ),
                Say(
                    "If it was not you, somebody else is in your account: change your password now, sign out all \
                     devices, and make new codes.",
                ),
            ],
        ),
        Kind::FactorGuessed => (
            "Somebody guesses at your second factor",
            &[
                Say(
                    "Somebody who signed in with the password of your account at\n{{ site }}\nshowed wrong codes of \
                     your second factor, the last on {{ time }}.\nThey did not get in.",
                ),
                Say("If it was you, wait a moment before the next code, or use a recovery code."),
                Say(
                    "If it was not you, somebody knows your password: change it now, on a device that is signed in, \
                     or with a recovery code.",
                ),
            ],
        ),
        Kind::NewDevice => (
            "A new sign-in to your account",
            &[
                Say(
                    "Someone signed in to your account at\n{{ site }}\non {{ time }}, from a device that we had not \
                     seen before:",
                ),
                Say("{{ device }}"),
                Say("If it was you, there is nothing to do."),
                Say("If it was not you, change your password now: that signs out every other device."),
            ],
        ),
    }
}

fn welcome(kind: Kind) -> (&'static str, &'static [Block]) {
    match kind {
        Kind::MagicLink => (
            "Your sign-in link",
            &[
                Say("Here is the link that signs you in to\n{{ site }}"),
                Link("Sign in"),
                OR_TYPE,
                Code,
                ONCE,
                Say(
                    "If you did not ask for it, there is nothing to do: without this mail nobody gets in. Do not pass \
                     it on.",
                ),
                NEVER_ASK,
            ],
        ),
        Kind::Invite => (
            "You are invited",
            &[
                Say(
                    "You are invited to\n{{ site }}\nFollow this link to accept and to choose your password:",
                ),
                Link("Accept the invitation"),
                OR_TYPE,
                Code,
                ONCE,
                Say("If you do not know why you got this, you can ignore it: no account opens by itself."),
            ],
        ),
        _ => (
            "Confirm your address",
            &[
                Say(
                    "Someone, we hope you, signed up with this address at\n{{ site }}\nFollow this link to confirm \
                     that it is yours:",
                ),
                Link("Confirm my address"),
                OR_TYPE,
                Code,
                ONCE,
                Say(
                    "If it was not you, there is nothing to do: nobody can use the account without this step.",
                ),
            ],
        ),
    }
}

fn return_to(kind: Kind) -> (&'static str, &'static [Block]) {
    match kind {
        Kind::Reauthentication => (
            "Your confirmation code",
            &[
                Say("Type this code to confirm the change to your account at\n{{ site }}"),
                Code,
                Say("It can be used once, within {{ lifetime }}."),
                Say(
                    "If you did not ask for it, somebody who is signed in as you did: change your password now and \
                     sign out all other devices.",
                ),
                NEVER_ASK,
            ],
        ),
        _ => (
            "Choose a new password",
            &[
                Say(
                    "Someone, we hope you, asked for a new password for your account at\n{{ site }}\nFollow this link \
                     to choose one:",
                ),
                Link("Choose a new password"),
                OR_TYPE,
                Code,
                ONCE,
                Say(
                    "If it was not you, there is nothing to do: your password stays as it is until this step is \
                     done. Do not pass this mail on.",
                ),
                NEVER_ASK,
            ],
        ),
    }
}

fn address(kind: Kind) -> (&'static str, &'static [Block]) {
    match kind {
        Kind::EmailChangeCurrent => (
            "Allow a new address for your account",
            &[
                Say("Someone, we hope you, wants to change the address of your account at\n{{ site }}\nto"),
                Say("{{ new_email }}"),
                Say("Follow this link to allow it:"),
                Link("Allow the new address"),
                OR_TYPE,
                Code,
                ONCE,
                Say(
                    "If it was not you, do not follow the link: somebody is signed in as you. Change your password \
                     now, and sign out all other devices.",
                ),
            ],
        ),
        Kind::EmailChangeNew => (
            "Confirm your new address",
            &[
                Say(
                    "Someone, we hope you, wants to use this address,\n{{ new_email }}\nfor an account at\n{{ site }}\n\
                     Follow this link to confirm that it is yours:",
                ),
                Link("Confirm my new address"),
                OR_TYPE,
                Code,
                ONCE,
                Say("If it was not you, there is nothing to do: the address is not used without this step."),
            ],
        ),
        _ => (
            "The address of your account was changed",
            &[
                Say("The address of your account at\n{{ site }}\nwas changed on {{ time }}. It is now"),
                Say("{{ new_email }}"),
                Say("This address does not sign in any more. If it was you, there is nothing to do."),
                Say(
                    "If it was not you, somebody else has taken your account over: write to those who run the \
                     service at once.",
                ),
            ],
        ),
    }
}

const WIDTH: usize = 72;

fn text(blocks: &[Block]) -> String {
    let mut out = String::from("Hello,\n");
    for block in blocks {
        out.push('\n');
        match block {
            Say(words) => {
                for line in words.split('\n') {
                    out.push_str(&broken(line));
                }
            }
            Link(_) => out.push_str("{{ link }}\n"),
            Code => out.push_str("    {{ code }}\n"),
        }
    }
    out
}

/// Words in lines. A placeholder is kept together.
fn broken(words: &str) -> String {
    let whole = words.replace("{{ ", "{{\u{a0}").replace(" }}", "\u{a0}}}");
    let (mut out, mut width) = (String::new(), 0);
    for word in whole.split(' ') {
        if width > 0 && width + 1 + word.chars().count() > WIDTH {
            out.push('\n');
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.chars().count();
    }
    out.push('\n');
    out.replace('\u{a0}', " ")
}

/// Inline styles alone: readers of mail drop everything else, and nothing is loaded from anywhere.
fn html(subject: &str, blocks: &[Block]) -> String {
    let mut body = String::from("<p>Hello,</p>\n");
    for block in blocks {
        let said = match block {
            Say(words) => format!("<p>{}</p>\n", escape(words).replace('\n', "<br>\n")),
            Link(label) => format!(
                "<p><a href=\"{{{{ link }}}}\" style=\"display:inline-block;padding:12px 20px;border-radius:6px;\
                 background:#1f4e9c;color:#ffffff;text-decoration:none\">{}</a></p>\n\
                 <p style=\"font-size:13px;color:#555555;word-break:break-all\">If the button does not work, copy this \
                 address into your browser:<br>\n{{{{ link }}}}</p>\n",
                escape(label)
            ),
            Code => "<p style=\"font-family:monospace;font-size:24px;letter-spacing:4px\">{{ code }}</p>\n"
                .to_owned(),
        };
        body.push_str(&said);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n</head>\n\
         <body style=\"margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#222222;\
         background:#ffffff\">\n<div style=\"max-width:560px;margin:0 auto\">\n{body}</div>\n</body>\n</html>\n",
        escape(subject)
    )
}
