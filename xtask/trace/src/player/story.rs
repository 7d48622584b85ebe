//! The part of a run that is shown, for the book's recordings, or the whole run, for any program.

use anyhow::{Context, Result, bail};

use super::captions::{self, is_short};
use super::recording::{Kind, Shape, Step};
use super::steps::{Item, Teller};
use crate::event::{Found, Granted, Setup, What};

/// Which part of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Until the first registration after an enter: what day 01 asks for next is left out.
    FirstExchange,
    /// The ring that a kernel thread polls, from where that thread is first found awake.
    Polled,
    /// Until the program sleeps after the last note.
    UntilAsleep,
    /// All of it.
    Whole,
}

/// The shown part of a run.
#[derive(Debug)]
pub struct Story {
    /// The ring.
    pub shape: Shape,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Turns a tape into steps.
///
/// # Errors
/// If the tape holds no such part.
pub fn tell(items: &[Item], part: Part, program: &str, ending: &str) -> Result<Story> {
    let polled = part == Part::Polled;
    let (ring, setup) = ring_of(items, polled).context("the program got no such ring")?;
    let granted = setup.granted.as_ref().context("a ring without parameters")?;
    let shape = shape(granted);
    let mut items: Vec<&Item> = items.iter().filter(|item| concerns(item, ring)).collect();
    match part {
        Part::FirstExchange | Part::Whole => {}
        Part::Polled => cut_the_beginning(&mut items)?,
        Part::UntilAsleep => check_the_end(&items)?,
    }
    let mut teller = Teller::new(&items, polled);
    teller.first_exchange = part == Part::FirstExchange;
    let first = captions::setup(program, setup);
    teller.steps.push(Step::new(Kind::Setup, first).calling("io_uring_setup"));
    if polled {
        teller.world("The polling thread is awake and looks at the queue all the time.");
    }
    teller.tell()?;
    if !ending.is_empty() {
        teller.steps.push(Step::new(Kind::End, ending));
    }
    Ok(Story { shape, steps: teller.steps })
}

/// Turns all that is known of one ring of any program into `most` steps at most. What the trace
/// does not hold, such as entries from before it began, is left out.
pub fn whole(items: &[Item], ring: u32, program: &str, most: usize) -> Option<Story> {
    let (shape, first) = items.iter().find_map(|item| match item {
        Item::Event(What::Setup(setup)) if setup.ring == Some(ring) => {
            Some((shape(setup.granted.as_ref()?), captions::setup(program, setup)))
        }
        Item::Event(What::Found(found)) if found.ring == Some(ring) => {
            let Found { sq_entries, cq_entries, flags, .. } = found.clone();
            let shape = Shape { sq_entries, cq_entries, flags };
            Some((shape, format!("{program} has this ring from before the trace.")))
        }
        _ => None,
    })?;
    let (numbers, items): (Vec<usize>, Vec<&Item>) =
        items.iter().enumerate().filter(|(_, item)| concerns(item, ring)).unzip();
    let polled = shape.flags.iter().any(|flag| flag == "SQPOLL");
    let mut teller = Teller::new(&items, polled);
    teller.whole = Some(&numbers);
    teller.most = most;
    teller.steps.push(Step::new(Kind::Setup, first).calling("io_uring_setup"));
    teller.tell().ok()?;
    if teller.steps.len() >= most {
        teller.steps.push(Step::new(Kind::End, "The program goes on; this page ends here."));
    }
    Some(Story { shape, steps: teller.steps })
}

fn shape(granted: &Granted) -> Shape {
    Shape {
        sq_entries: granted.sq_entries,
        cq_entries: granted.cq_entries,
        flags: granted.flags.clone(),
    }
}

/// The first ring, or the first one that is polled.
fn ring_of(items: &[Item], polled: bool) -> Option<(u32, &Setup)> {
    items.iter().find_map(|item| match item {
        Item::Event(What::Setup(setup)) => {
            let flags = &setup.granted.as_ref()?.flags;
            let fits = flags.iter().any(|flag| flag == "SQPOLL") == polled;
            setup.ring.filter(|_| fits).map(|ring| (ring, setup))
        }
        _ => None,
    })
}

/// Whether an item belongs to the ring that is shown; its setup is handled apart.
fn concerns(item: &Item, ring: u32) -> bool {
    let of = match item {
        Item::Note(_) => return true,
        Item::Event(what) => match what {
            What::Register(register) => register.ring,
            What::Enter(enter) => enter.ring,
            What::Return(back) => back.ring,
            What::Submit(submit) => Some(submit.ring),
            What::Complete(complete) => Some(complete.ring),
            What::Poller(poller) => Some(poller.ring),
            What::Close(close) => Some(close.ring),
            _ => None,
        },
    };
    of == Some(ring)
}

/// How often a new polling thread was asleep before it was first found awake differs from run
/// to run: the story begins where an entry is taken without an enter.
fn cut_the_beginning(items: &mut Vec<&Item>) -> Result<()> {
    let mut inside = false;
    let first = items.iter().position(|item| match item {
        Item::Event(What::Enter(_)) => {
            inside = true;
            false
        }
        Item::Event(What::Return(_)) => {
            inside = false;
            false
        }
        Item::Event(What::Submit(_)) => !inside,
        _ => false,
    });
    items.drain(..first.context("no entry was taken by a thread that was awake")?);
    Ok(())
}

/// The tape ends while the program sleeps; how it is stopped afterwards is not on it.
fn check_the_end(items: &[&Item]) -> Result<()> {
    let note = items.iter().rposition(|item| matches!(item, Item::Note(_)));
    let is_asleep = |item: &&Item| matches!(item, Item::Event(What::Enter(enter)) if enter.min_complete > 0 && !is_short(enter));
    let last = items.iter().rposition(is_asleep);
    match (note, last) {
        (Some(note), Some(last)) if note < last => Ok(()),
        _ => bail!("the program did not go back to sleep after its last client"),
    }
}
