//! Every way to fail an exercise has a name that stays: for scripts, for a class's table of
//! mistakes, and for the wrong answers, which say which of them they must get.

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Its name, as in `E-NO-RING`.
    pub name: &'static str,
}

impl Id {
    /// What it means, for a table.
    pub fn meaning(self) -> &'static str {
        ALL.iter().find(|(id, _)| *id == self).map_or("", |(_, meaning)| meaning)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Defines the constants and [`ALL`] in one go, so that none is missing from the list.
macro_rules! ids {
    ($($constant:ident $name:literal $meaning:literal)*) => {
        $(#[doc = concat!("`", $name, "`: ", $meaning, ".")]
        pub const $constant: Id = Id { name: $name };)*

        /// All of them, and what they mean.
        pub const ALL: &[(Id, &str)] = &[$(($constant, $meaning)),*];
    };
}

ids! {
    // No verdict on the program.
    NOT_OBSERVED "NOT-OBSERVED" "this kernel or machine cannot show whether the program does it"
    // The program itself.
    COMPILE "E-COMPILE" "the program does not compile"
    PANIC "E-PANIC" "the program panicked"
    SIGNAL "E-SIGNAL" "a signal killed the program"
    EXIT "E-EXIT" "the program ended with another exit status than asked"
    ENDED_EARLY "E-ENDED-EARLY" "the program ended while it was still needed"
    OUTPUT "E-OUTPUT" "what the program prints is not what was asked, or not what the kernel says"
    NO_LISTENER "E-NO-LISTENER" "the program does not say where it listens, or does not listen there"
    LIMIT "E-LIMIT" "the program broke a limit: time, memory, processes or file size"
    // Rings in general.
    NO_RING "E-NO-RING" "the program never set up a ring"
    SETUP "E-SETUP" "the ring was not set up as asked"
    REGISTER "E-REGISTER" "a registration is missing, or was refused"
    NO_ENTRY "E-NO-ENTRY" "the kernel never got the entry that was asked for"
    WRONG_ENTRY "E-WRONG-ENTRY" "an entry is there, but it asks for something else"
    TOO_MANY_ENTRIES "E-TOO-MANY-ENTRIES" "more entries than the task allows"
    FLAGS "E-FLAGS" "an entry lacks a flag, or has one too many"
    TAG "E-TAG" "an entry carries another user_data than asked"
    NOT_SUBMITTED "E-NOT-SUBMITTED" "entries were pushed and never submitted"
    NOT_REAPED "E-NOT-REAPED" "completions were posted and never taken"
    FAILED_ENTRY "E-FAILED-ENTRY" "a completion carries an error that the program should have avoided or handled"
    LOST "E-LOST" "a completion, a client or a byte got lost"
    NOT_THROUGH_RING "E-NOT-THROUGH-RING" "the program did it by a plain system call"
    ENTERS "E-ENTERS" "the program calls the kernel too often"
    RESULT "E-RESULT" "something failed, and the program ends as if all were well"
    ORDER "E-ORDER" "things happened in another order than asked"
    // Links and the probe.
    NOT_LINKED "E-NOT-LINKED" "entries that belong together are not linked"
    LINK_CUT "E-LINK-CUT" "a chain of links was cut by the end of a submit"
    NOT_PROBED "E-NOT-PROBED" "the program did not ask which operations the kernel has"
    PROBE_IGNORED "E-PROBE-IGNORED" "an operation was used that the probe did not say is there"
    NOT_USED "E-NOT-USED" "an operation was not used although the kernel has it"
    NO_FALLBACK "E-NO-FALLBACK" "without the operation the program does not do its task"
    // Queues, threads, tables.
    NO_OVERFLOW "E-NO-OVERFLOW" "the completion queue never overflowed, but in this exercise it must"
    NEVER_ASLEEP "E-NEVER-ASLEEP" "the polling thread never slept, so the program never had to wake it"
    RING_FD "E-RING-FD" "an enter names the ring by its descriptor, not by its registered index"
    DESCRIPTOR "E-DESCRIPTOR" "a descriptor where a slot of the ring's table was asked for"
    // Hangs.
    HANG_PUSHED "E-HANG-PUSHED" "the program waits while entries are pushed and not submitted"
    HANG_WAIT "E-HANG-WAIT" "the program waits in the kernel with nothing in flight that could complete"
    HANG_NOT_REAPED "E-HANG-NOT-REAPED" "completions are there, and the program does not take them"
    HANG_IN_FLIGHT "E-HANG-IN-FLIGHT" "the program waits for an operation that does not complete"
    HANG_CALL "E-HANG-CALL" "the program sleeps in another system call"
    SPIN "E-SPIN" "the program goes round in a loop without getting anywhere"
    // Servers.
    SLOT_AS_FD "E-SLOT-AS-FD" "a slot's number was taken for a descriptor's"
    IN_FLIGHT "E-IN-FLIGHT" "operations were still in flight when the ring was closed"
    AS_GIVEN "E-AS-GIVEN" "something that the task gives was changed"
    STALE "E-STALE" "a late completion was taken for another client's"
    HELD_UP "E-HELD-UP" "one client held up the others"
    DEADLINE "E-DEADLINE" "a client was ended too early, or not in time"
    NO_ANSWER "E-NO-ANSWER" "a client got no answer"
    WRONG_ANSWER "E-WRONG-ANSWER" "a client got another answer than it should"
    RESET "E-RESET" "a client's connection was reset"
    NOT_CLOSED "E-NOT-CLOSED" "a connection, slot or descriptor was left open"
    REARM "E-REARM" "a multishot operation ended and was not armed again"
    STOP "E-STOP" "the program does not stop as asked"
    MEMORY "E-MEMORY" "the program's memory grows without bound"
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
