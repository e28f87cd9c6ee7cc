use zxcvbn::zxcvbn;

use super::{Email, NewPassword};

/// How many characters zxcvbn looks at. Its work grows with the square of their number; by itself it takes 100.
const SHOWN: usize = 64;
/// How many readings of signs as letters (`$` as `s`) zxcvbn may try. Its work grows with their number, which is a
/// product: 100 characters with all of the signs in them took 0.8 to 1.5 s, where a hash takes 0.03. Digits alone
/// come to 12.
const READINGS: usize = 16;
/// The signs that zxcvbn reads as letters, letter by letter.
const SIGNS: [&str; 12] = ["4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2"];
/// Shorter words are in every password.
const SHORTEST_WORD: usize = 3;

const OF_WORDS: &str = "Password should not be made of your e-mail address or of this service's name, please \
    choose another one.";
const GUESSED: &str = "Password is too easy to guess, please choose a longer one, such as several words that do \
    not belong together.";

/// Judges how soon a new password is guessed: by what it is made of, without a rule about kinds of characters.
///
/// 1. Refused is what consists of *context words*, alone or repeated, in any case, with digits, spaces and signs
///    anywhere (`Aurora-2024!` where the service is called aurora).
/// 2. Refused is what zxcvbn scores below the weakest score. It is shown the context words as the first that are
///    tried, and the first 64 characters: the rest of a longer password counts for its hash, and for nothing here.
///
/// Context words are the host's, the host name of the site and the e-mail addresses: whole, and their parts of at
/// least three characters that hold a letter.
///
/// ```
/// use aurora_core::validate::{NewPassword, PasswordJudge};
/// let judge = PasswordJudge::new(2).word("aurora").email(&"ann.lee@example.com".parse()?);
/// let fault = |text: &str| judge.fault(&NewPassword::parse(text.into(), 8).unwrap());
/// assert!(fault("quiet harbour lamp 41").is_none());
/// assert!(fault("Aurora-2024!").unwrap().contains("this service's name"));
/// assert!(fault("password1").unwrap().contains("too easy to guess"));
/// # Ok::<(), aurora_core::types::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PasswordJudge {
    weakest_score: u8,
    words: Vec<String>,
}

impl PasswordJudge {
    /// Accepts what zxcvbn scores at least so high, 0 to 4; 0 does not ask it.
    pub fn new(weakest_score: u8) -> Self {
        Self { weakest_score, words: Vec::new() }
    }

    /// Adds a context word: a name, a host, several words.
    #[must_use]
    pub fn word(mut self, text: &str) -> Self {
        let whole = letters_and_digits(text);
        let parts = text.split(|c: char| !c.is_alphanumeric()).map(letters_and_digits);
        for word in std::iter::once(whole).chain(parts) {
            let telling = word.chars().count() >= SHORTEST_WORD && word.chars().any(char::is_alphabetic);
            if telling && !self.words.contains(&word) {
                self.words.push(word);
            }
        }
        self
    }

    /// Adds an e-mail address and its parts.
    #[must_use]
    pub fn email(self, email: &Email) -> Self {
        let (local, domain) = email.as_str().rsplit_once('@').unwrap_or_default();
        self.word(email.as_str()).word(local).word(domain)
    }

    /// What is wrong with `password`, as a sentence that says what to do; `None` if nothing is. About as much work
    /// as a hash, at the worst.
    pub fn fault(&self, password: &NewPassword) -> Option<&'static str> {
        let text = password.secret().expose();
        if self.is_only_words(text) {
            return Some(OF_WORDS);
        }
        if self.weakest_score == 0 {
            return None;
        }
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let score = u8::from(zxcvbn(&shown(text), &words).score());
        (score < self.weakest_score).then_some(GUESSED)
    }

    /// Whether words and digits, in any order, are all there is, and a word among it.
    fn is_only_words(&self, text: &str) -> bool {
        let text: Vec<char> = letters_and_digits(text).chars().collect();
        let words: Vec<Vec<char>> = self.words.iter().map(|word| word.chars().collect()).collect();
        // What lies before each place: nothing that fits, digits alone, words.
        let mut before: Vec<Option<bool>> = vec![None; text.len() + 1];
        reach(&mut before, 0, false);
        for at in 0..text.len() {
            let Some(&Some(with_word)) = before.get(at) else { continue };
            let rest = text.get(at..).unwrap_or_default();
            if rest.first().is_some_and(|first| first.is_numeric()) {
                reach(&mut before, at + 1, with_word);
            }
            for word in words.iter().filter(|word| rest.starts_with(word)) {
                reach(&mut before, at + word.len(), true);
            }
        }
        before.last() == Some(&Some(true))
    }
}

fn reach(before: &mut [Option<bool>], place: usize, with_word: bool) {
    if let Some(place) = before.get_mut(place) {
        *place = Some(place.unwrap_or(false) || with_word);
    }
}

fn letters_and_digits(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What zxcvbn is shown: the beginning, with signs that would be one reading too many replaced by characters that
/// stand for nothing. A word that is spelled in signs spells few letters in more than one way.
fn shown(password: &str) -> String {
    let start: Vec<char> = password.chars().take(SHOWN).collect();
    let mut read: Vec<char> = Vec::new();
    for &c in start.iter().filter(|c| c.is_ascii_digit()) {
        if !read.contains(&c) {
            read.push(c);
        }
    }
    let mut replaced: Vec<char> = Vec::new();
    let mut text = String::with_capacity(password.len().min(4 * SHOWN));
    for c in start {
        let sign = !c.is_ascii_digit() && SIGNS.iter().any(|signs| signs.contains(c));
        if sign && !read.contains(&c) && !replaced.contains(&c) {
            read.push(c);
            if readings(&read) > READINGS {
                read.pop();
                replaced.push(c);
            }
        }
        text.push(replaced.iter().position(|other| *other == c).map_or(c, nothing));
    }
    text
}

/// A character for private use. Those of two neighbours lie apart, so that they are no sequence.
fn nothing(number: usize) -> char {
    u32::try_from(number).ok().and_then(|number| char::from_u32(0xE000 + 97 * number)).unwrap_or('\u{E000}')
}

/// How many readings zxcvbn makes of these signs: for each letter one of its signs, and two where the sign was read
/// as another letter before.
fn readings(signs: &[char]) -> usize {
    let mut before: Vec<char> = Vec::new();
    let mut product = 1_usize;
    for of_letter in SIGNS {
        let present: Vec<char> = of_letter.chars().filter(|sign| signs.contains(sign)).collect();
        let ways: usize = present.iter().map(|sign| 1 + usize::from(before.contains(sign))).sum();
        before.extend(present);
        product = product.saturating_mul(ways.max(1));
    }
    product
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn judge() -> PasswordJudge {
        let judge =
            PasswordJudge::new(2).word("Aurora").word("https://notes.example.org").word("web3 studio");
        judge.email(&"ann.lee+tag@mail.example.com".parse().unwrap())
    }

    fn parsed(text: &str) -> NewPassword {
        NewPassword::parse(text.into(), 0).unwrap()
    }

    #[test]
    fn what_is_made_of_context_words_is_refused() {
        let judge = judge();
        for text in [
            "aurora",
            "AURORA",
            "Aurora-2024!",
            "19aurora84",
            "aurora aurora AURORA aurora aurora aurora aurora aurora",
            "ann.lee+tag@mail.example.com",
            "AnnLeeTag2026",
            "lee-notes-aurora",
            "web3studio!!",
            "WEB3 1999",
            "¡aurora¡２０２４",
            "example.com/aurora",
        ] {
            assert_eq!(judge.fault(&parsed(text)), Some(OF_WORDS), "{text}");
        }
        let only_words = PasswordJudge { weakest_score: 0, ..judge };
        for text in ["auroras", "borealis aurora", "le4nn", "12345678", "!!!!!!!!", "", "au-ro-r"] {
            assert_eq!(only_words.fault(&parsed(text)), None, "{text}");
        }
    }

    #[test]
    fn short_words_and_numbers_are_no_context_words() {
        let judge = PasswordJudge::new(0)
            .word("")
            .word("a.b")
            .word("127.0.0.1")
            .word("--")
            .email(&"jo@x.de".parse().unwrap());
        assert_eq!(judge.words, ["joxde", "xde"]);
        assert_eq!(judge.fault(&parsed("127001 127001")), None);
    }

    /// attack P07 asvs(V6.2.5)
    #[test]
    fn what_is_guessed_soon_is_refused_by_score() {
        let judge = judge();
        for text in ["password1", "qwertyuiop", "aaaaaaaaaaaa", "abcabcabcabc", "P@ssw0rd!", "20061984"] {
            assert_eq!(judge.fault(&parsed(text)), Some(GUESSED), "{text}");
        }
        // Any composition.
        for text in [
            "correct horse battery",
            "only lower case letters",
            "ONLYUPPERCASEXKQ",
            "83920174650192",
            "~^`~-^=`-~^`",
            "пароль длинный и чужой",
            "安全な合言葉は長いもの",
            "🔑🌲🚲🎺🧊🪁🐙🛶",
        ] {
            assert_eq!(judge.fault(&parsed(text)), None, "{text}");
        }
        let strict = PasswordJudge { weakest_score: 4, ..judge.clone() };
        assert_eq!(strict.fault(&parsed("long enough")), Some(GUESSED));
        let off = PasswordJudge { weakest_score: 0, ..judge };
        assert_eq!(off.fault(&parsed("password1")), None);
    }

    /// zxcvbn is told who is asking: what holds a context word costs fewer guesses.
    #[test]
    fn context_words_are_guessed_first() {
        let told = PasswordJudge::new(3).word("kestrelworks");
        assert_eq!(told.fault(&parsed("kestrelworks abc")), Some(GUESSED));
        assert_eq!(PasswordJudge::new(3).fault(&parsed("kestrelworks abc")), None);
    }

    #[test]
    fn few_signs_are_read_and_what_is_shown_is_bounded() {
        assert_eq!(shown("P@$$w0rd!"), "P@$$w0rd!");
        assert_eq!(shown("0123456789/-. "), "0123456789/-. ");
        assert_eq!(shown(&"ä".repeat(500)).chars().count(), 64);
        let all = shown("4@8({[<369&#!/|0$5+7%21({[");
        assert!(all.starts_with("4\u{e000}8(\u{e061}") && all.contains('&') && !all.contains('|'), "{all:?}");
        assert_eq!(all.chars().count(), 26);
        let read: Vec<char> = all.chars().collect();
        assert!(readings(&read) <= READINGS, "{}", readings(&read));
        assert_eq!(readings(&"4@8({[<3691!|70$5+%2".chars().collect::<Vec<_>>()), 2 * 4 * 2 * 3 * 5 * 2 * 3);
    }

    /// What takes zxcvbn a second is bounded by what it is shown. The bound here is for a busy machine.
    ///
    /// attack P07
    #[test]
    fn hostile_passwords_cost_about_a_hash() {
        let judge = judge();
        judge.fault(&parsed("the dictionaries are built once"));
        let mut state = 7_u64;
        let mut worst = (Duration::ZERO, String::new());
        for alphabet in
            ["4@8({[<369&#!/|0$5+7%21", "(!1|7", "({[<&#", "0123456789", "4@5$1", "aA1!", "1/", "ab"]
        {
            let alphabet: Vec<char> = alphabet.chars().collect();
            for length in [16, 40, 100, 1024] {
                let text: String = (0..length)
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
                    })
                    .collect();
                let start = Instant::now();
                std::hint::black_box(judge.fault(&parsed(&text)));
                worst = worst.max((start.elapsed(), text));
            }
        }
        println!("worst {:?}: {}", worst.0, worst.1);
        assert!(worst.0 < Duration::from_millis(400), "{worst:?}");
    }

    #[test]
    fn nothing_panics() {
        use proptest::prelude::*;
        let judge = judge();
        proptest!(ProptestConfig::with_cases(400), |(text in "\\PC{1,120}", number in "[0-9/.@$!1-]{1,120}")| {
            judge.fault(&parsed(&text));
            judge.fault(&parsed(&number));
            judge.fault(&parsed(&format!("{number}{text}{number}")));
        });
    }
}
