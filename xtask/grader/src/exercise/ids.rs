//! The ids of failures. They do not change, because scripts, a class's table of mistakes and the
//! wrong answers' `expect` use them.

/// An id of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Its name, as in `E-NO-RING`.
    pub name: &'static str,
}

impl Id {
    /// Its meaning, for a table.
    pub fn meaning(self) -> &'static str {
        ALL.iter().find(|(id, _)| *id == self).map_or("", |(_, meaning)| meaning)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Defines the constants and [`ALL`] together, so that the list has every constant. Each line has a
/// constant, its name, its meaning, and the place in the book that explains it. The book's page
/// *Find by symptom* is made from these lines.
macro_rules! ids {
    ($($constant:ident $name:literal $meaning:literal $place:literal)*) => {
        $(#[doc = concat!("`", $name, "`: ", $meaning, "; ", $place)]
        pub const $constant: Id = Id { name: $name };)*

        /// All ids with their meanings.
        pub const ALL: &[(Id, &str)] = &[$(($constant, $meaning)),*];
    };
}

ids! {
    // No verdict on the program.
    NOT_OBSERVED "NOT-OBSERVED" "this kernel or machine cannot show whether the program does it"
        "exercises.html#what-a-verdict-says"
    // The program itself.
    COMPILE "E-COMPILE" "the program does not compile"
        "exercises.html#what-a-verdict-says"
    PANIC "E-PANIC" "the program panicked"
        "exercises.html#what-a-verdict-says"
    SIGNAL "E-SIGNAL" "a signal killed the program"
        "when-it-goes-wrong.html#pitfall-23"
    EXIT "E-EXIT" "the program ended with another exit status than asked"
        "day1.html#there-and-back"
    ENDED_EARLY "E-ENDED-EARLY" "the program ended while it was still needed"
        "day4.html#the-turn"
    OUTPUT "E-OUTPUT" "what the program prints is not what was asked, or not what the kernel says"
        "exercises.html#what-a-verdict-says"
    NO_LISTENER "E-NO-LISTENER" "the program does not say where it listens, or does not listen there"
        "day3.html#a-ring-a-table-a-listener"
    LIMIT "E-LIMIT" "the program broke a limit: time, memory, processes or file size"
        "teaching.html#the-room"
    // Rings in general.
    NO_RING "E-NO-RING" "the program never set up a ring"
        "day1.html#the-ring"
    SETUP "E-SETUP" "the ring was not set up as asked"
        "day2.html#exactly-the-ring-you-ask-for"
    REGISTER "E-REGISTER" "a registration is missing, or was refused"
        "day2.html#files-that-are-no-descriptors"
    NO_ENTRY "E-NO-ENTRY" "the kernel never got the entry that was asked for"
        "day1.html#there-and-back"
    WRONG_ENTRY "E-WRONG-ENTRY" "an entry is there, but it asks for something else"
        "day1.html#what-an-entry-points-at"
    TOO_MANY_ENTRIES "E-TOO-MANY-ENTRIES" "more entries than the task allows"
        "ladder.html#3-fewer-entries-not-fewer-calls"
    FLAGS "E-FLAGS" "an entry lacks a flag, or has one too many"
        "atlas-entry-flags.html"
    TAG "E-TAG" "an entry carries another user_data than asked"
        "glossary.html#user_data"
    NOT_SUBMITTED "E-NOT-SUBMITTED" "entries were pushed and never submitted"
        "when-it-goes-wrong.html#pitfall-2"
    NOT_REAPED "E-NOT-REAPED" "completions were posted and never taken"
        "day1.html#there-and-back"
    FAILED_ENTRY "E-FAILED-ENTRY" "a completion carries an error that the program should have avoided or handled"
        "errors.html"
    LOST "E-LOST" "a completion, a client or a byte got lost"
        "day3.html#losing-nobody"
    NOT_THROUGH_RING "E-NOT-THROUGH-RING" "the program did it by a plain system call"
        "day1.html#what-an-entry-points-at"
    ENTERS "E-ENTERS" "the program calls the kernel too often"
        "day1.html#many-entries-one-call"
    RESULT "E-RESULT" "something failed, and the program ends as if all were well"
        "day1.html#there-and-back"
    ORDER "E-ORDER" "things happened in another order than asked"
        "day1.html#one-after-the-other"
    // Links and the probe.
    NOT_LINKED "E-NOT-LINKED" "entries that belong together are not linked"
        "day1.html#one-after-the-other"
    LINK_CUT "E-LINK-CUT" "a chain of links was cut by the end of a submit"
        "when-it-goes-wrong.html#pitfall-17"
    NOT_PROBED "E-NOT-PROBED" "the program did not ask which operations the kernel has"
        "day1.html#what-the-kernel-has"
    PROBE_IGNORED "E-PROBE-IGNORED" "an operation was used that the probe did not say is there"
        "day1.html#what-the-kernel-has"
    NOT_USED "E-NOT-USED" "an operation was not used although the kernel has it"
        "day1.html#what-the-kernel-has"
    NO_FALLBACK "E-NO-FALLBACK" "without the operation the program does not do its task"
        "day1.html#what-the-kernel-has"
    // Queues, threads, tables.
    NO_OVERFLOW "E-NO-OVERFLOW" "the completion queue never overflowed, but in this exercise it must"
        "day2.html#more-completions-than-fit"
    NEVER_ASLEEP "E-NEVER-ASLEEP" "the polling thread never slept, so the program never had to wake it"
        "day2.html#a-thread-that-submits"
    RING_FD "E-RING-FD" "an enter names the ring by its descriptor, not by its registered index"
        "when-it-goes-wrong.html#pitfall-1"
    DESCRIPTOR "E-DESCRIPTOR" "a descriptor where a slot of the ring's table was asked for"
        "day2.html#files-that-are-no-descriptors"
    TOO_MANY_WORKERS "E-TOO-MANY-WORKERS" "the kernel runs more worker threads for the program than needed"
        "where-does-it-run.html#invariants"
    // Hangs.
    HANG_PUSHED "E-HANG-PUSHED" "the program waits while entries are pushed and not submitted"
        "when-it-goes-wrong.html#pitfall-2"
    HANG_WAIT "E-HANG-WAIT" "the program waits in the kernel with nothing in flight that could complete"
        "day1.html#there-and-back"
    HANG_NOT_REAPED "E-HANG-NOT-REAPED" "completions are there, and the program does not take them"
        "when-it-goes-wrong.html#pitfall-2"
    HANG_IN_FLIGHT "E-HANG-IN-FLIGHT" "the program waits for an operation that does not complete"
        "when-it-goes-wrong.html#pitfall-9"
    HANG_CALL "E-HANG-CALL" "the program sleeps in another system call"
        "when-it-goes-wrong.html#an-unread-log"
    SPIN "E-SPIN" "the program goes round in a loop without getting anywhere"
        "ladder.html#1-to-2-do-not-submit-wait"
    // Servers.
    SLOT_AS_FD "E-SLOT-AS-FD" "a slot's number was taken for a descriptor's"
        "when-it-goes-wrong.html#pitfall-11"
    IN_FLIGHT "E-IN-FLIGHT" "operations were still in flight when the ring was closed"
        "when-it-goes-wrong.html#pitfall-24"
    AS_GIVEN "E-AS-GIVEN" "something that the task gives was changed"
        "exercises.html#what-a-verdict-says"
    STALE "E-STALE" "a late completion was taken for another client's"
        "when-it-goes-wrong.html#pitfall-10"
    HELD_UP "E-HELD-UP" "one client held up the others"
        "when-it-goes-wrong.html#pitfall-22"
    DEADLINE "E-DEADLINE" "a client was ended too early, or not in time"
        "day4-hardened.html#deadlines"
    NO_ANSWER "E-NO-ANSWER" "a client got no answer"
        "day4-echo.html#echoing"
    WRONG_ANSWER "E-WRONG-ANSWER" "a client got another answer than it should"
        "when-it-goes-wrong.html#pitfall-16"
    RESET "E-RESET" "a client's connection was reset"
        "when-it-goes-wrong.html#pitfall-9"
    NOT_CLOSED "E-NOT-CLOSED" "a connection, slot or descriptor was left open"
        "journal-corrected.html#3-slots-are-never-freed"
    REARM "E-REARM" "a multishot operation ended and was not armed again"
        "when-it-goes-wrong.html#pitfall-6"
    STOP "E-STOP" "the program does not stop as asked"
        "when-it-goes-wrong.html#pitfall-24"
    TOO_OPEN "E-TOO-OPEN" "the ring takes more than it was asked to"
        "locked-down.html#invariants"
    MEMORY "E-MEMORY" "the program's memory grows without bound"
        "when-it-goes-wrong.html#pitfall-22"
}

/// The id of that name.
pub fn by_name(name: &str) -> Option<Id> {
    ALL.iter().map(|(id, _)| *id).find(|id| id.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_short_enough_for_a_table() {
        for (id, _) in ALL {
            assert_eq!(ALL.iter().filter(|(other, _)| other == id).count(), 1, "{id}");
            assert!(id.name.len() <= 20, "{id}");
            assert_eq!(by_name(id.name), Some(*id));
        }
    }
}
