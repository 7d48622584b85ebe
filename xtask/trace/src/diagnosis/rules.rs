//! What every family of rules is made of: the kinds of its faults, and where it reports them.

use super::scene::{Fact, Scene};
use crate::event::Diagnosis;

/// A kind of fault: its name, and where the book explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Its name.
    pub id: &'static str,
    /// Page and section.
    pub book: &'static str,
    /// Whether it is a conclusion.
    pub concluded: bool,
}

impl Kind {
    pub(super) const fn new(id: &'static str, book: &'static str) -> Kind {
        Kind { id, book, concluded: false }
    }

    pub(super) const fn concluded(id: &'static str, book: &'static str) -> Kind {
        Kind { id, book, concluded: true }
    }
}

/// `at 0.0123 s`, as the text's first column has it.
pub(crate) fn at(us: u64) -> String {
    format!("at {:.4} s", us as f64 / 1e6)
}

/// `1, 2 and 3`, of many the first ones.
pub(crate) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [one] => one.clone(),
        [most @ .., last] if items.len() <= SHOWN => format!("{} and {last}", most.join(", ")),
        many => {
            let shown = many.len().min(SHOWN - 1);
            format!("{} and {} more", many[..shown].join(", "), many.len() - shown)
        }
    }
}

/// A family of rules, with the books that it keeps.
pub(super) trait Rules: std::fmt::Debug + Send {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found);
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    list: Vec<Diagnosis>,
    told: usize,
}

impl Found {
    /// Reports something wrong: what was seen, and what it means. The first of a kind is put into
    /// words, the others are counted.
    pub(super) fn say(
        &mut self,
        scene: &Scene<'_>,
        kind: Kind,
        seen: impl Into<String>,
        means: impl Into<String>,
    ) {
        self.tell(scene, kind, (seen.into(), means.into()), 1);
    }

    /// As [`Found::say`], of a state that lasts and is seen again and again.
    pub(super) fn say_once(
        &mut self,
        scene: &Scene<'_>,
        kind: Kind,
        seen: impl Into<String>,
        means: impl Into<String>,
    ) {
        self.tell(scene, kind, (seen.into(), means.into()), 0);
    }

    fn tell(&mut self, scene: &Scene<'_>, kind: Kind, words: (String, String), again: u64) {
        let Kind { id, book, concluded } = kind;
        let (seen, means) = words;
        let ring = (scene.ring != 0).then_some(scene.ring);
        let same = |known: &&mut Diagnosis| known.kind == id && known.means == means;
        match self.list.iter_mut().find(same) {
            Some(known) => known.times += again,
            None => {
                let (times, found_us) = (1, scene.us);
                let found =
                    Diagnosis { kind: id, ring, times, seen, means, book, concluded, found_us };
                self.list.push(found);
            }
        }
    }

    /// What was found since the last time.
    pub fn news(&mut self) -> Vec<Diagnosis> {
        let news = self.list[self.told..].to_vec();
        self.told = self.list.len();
        news
    }

    /// All that was found so far.
    pub fn all(&self) -> &[Diagnosis] {
        &self.list
    }
}
