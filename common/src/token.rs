//! `user_data` as a typed value.
//!
//! The kernel carries the 64 bits of `user_data` from a submission queue entry to its completions
//! and gives them no meaning (`io_uring_enter(2)`); only a cancel compares them, to find its
//! operation. A server has three questions about a completion: which operation was it, on which
//! slot, and does that slot still belong to the same client? A [`Token`] answers them without an
//! allocation:
//!
//! ```text
//!  63      56 55              40 39              24 23                     0
//! +----------+------------------+------------------+------------------------+
//! | operation|       zero       |    generation    |          slot          |
//! +----------+------------------+------------------+------------------------+
//! ```

use std::fmt;

/// The operations that the days distinguish when they complete.
///
/// The discriminant is what travels in `user_data`. Zero is left out, so that a forgotten
/// `user_data` is never taken for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// `IORING_OP_ACCEPT` on the listener, multishot or single.
    Accept = 1,
    /// `IORING_OP_RECV` of bytes that the program uses.
    Recv = 2,
    /// `IORING_OP_SEND` of an answer.
    Send = 3,
    /// `IORING_OP_RECV` of bytes that are discarded, up to the client's end.
    Discard = 4,
    /// `IORING_OP_SHUTDOWN` of a connection.
    Shutdown = 5,
    /// `IORING_OP_CLOSE` of a slot.
    Close = 6,
    /// `IORING_OP_ASYNC_CANCEL` of other operations.
    Cancel = 7,
    /// `IORING_OP_READ` of the signalfd.
    Signal = 8,
    /// Like [`Op::Recv`], multishot.
    RecvMulti = 9,
}

impl Op {
    /// Every operation, in the order of the codes.
    pub const ALL: [Op; 9] = [
        Op::Accept,
        Op::Recv,
        Op::Send,
        Op::Discard,
        Op::Shutdown,
        Op::Close,
        Op::Cancel,
        Op::Signal,
        Op::RecvMulti,
    ];

    fn from_code(code: u8) -> Option<Op> {
        Op::ALL.into_iter().find(|op| *op as u8 == code)
    }

    /// The lower-case name that the days and the tracer print.
    pub fn name(self) -> &'static str {
        match self {
            Op::Accept => "accept",
            Op::Recv => "recv",
            Op::Send => "send",
            Op::Discard => "discard",
            Op::Shutdown => "shutdown",
            Op::Close => "close",
            Op::Cancel => "cancel",
            Op::Signal => "signal",
            Op::RecvMulti => "multishot recv",
        }
    }
}

/// What a completion belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which operation completed.
    pub op: Op,
    /// The direct descriptor it was for, below [`Token::MAX_SLOTS`].
    pub slot: u32,
    /// Which of the slot's successive clients it was for.
    pub generation: u16,
}

impl Token {
    /// Slots that 24 bits can number. The kernel allows 2^20 registered files
    /// (`IORING_MAX_FIXED_FILES`), which fits.
    pub const MAX_SLOTS: u32 = 1 << 24;

    /// A token for an operation that belongs to no connection.
    pub fn of(op: Op) -> Token {
        Token { op, slot: 0, generation: 0 }
    }

    /// A token for an operation on one client's slot.
    pub fn on(op: Op, slot: u32, generation: u16) -> Token {
        Token { op, slot, generation }
    }

    /// The 64 bits for `user_data`.
    ///
    /// # Panics
    /// If `slot` is [`Token::MAX_SLOTS`] or more: it would run into the generation.
    pub fn pack(self) -> u64 {
        assert!(self.slot < Token::MAX_SLOTS, "slot {} does not fit 24 bits", self.slot);
        u64::from(self.op as u8) << 56 | u64::from(self.generation) << 24 | u64::from(self.slot)
    }

    /// Reads a completion's `user_data`; `None` if it is not a token: no [`Op`] has its code, or
    /// the unused bits are not zero.
    pub fn unpack(user_data: u64) -> Option<Token> {
        if (user_data >> 40) as u16 != 0 {
            return None;
        }
        Some(Token {
            op: Op::from_code((user_data >> 56) as u8)?,
            generation: (user_data >> 24) as u16,
            slot: user_data as u32 & (Token::MAX_SLOTS - 1),
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Op::Accept | Op::Cancel | Op::Signal => write!(f, "{}", self.op.name()),
            _ => write!(f, "{} slot {} #{}", self.op.name(), self.slot, self.generation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_token() -> impl Strategy<Value = Token> {
        (0..Op::ALL.len(), 0..Token::MAX_SLOTS, any::<u16>())
            .prop_map(|(op, slot, generation)| Token { op: Op::ALL[op], slot, generation })
    }

    proptest! {
        #[test]
        fn pack_and_unpack_are_inverse(token in any_token()) {
            prop_assert_eq!(Token::unpack(token.pack()), Some(token));
        }

        #[test]
        fn unpack_takes_any_bits_and_packs_back_to_them(
            code in 0..=Op::ALL.len() as u64 + 1,
            unused in prop_oneof![Just(0), 1..1u64 << 16],
            rest in 0..1u64 << 40,
        ) {
            let bits = code << 56 | unused << 40 | rest;
            match Token::unpack(bits) {
                Some(token) => prop_assert_eq!(token.pack(), bits),
                None => prop_assert!(unused != 0 || Op::from_code(code as u8).is_none()),
            }
        }
    }

    /// Defect 16 of the journal: a forgotten `user_data` must not look like one of ours.
    #[test]
    fn a_forgotten_user_data_is_no_token() {
        assert_eq!(Token::unpack(0), None);
    }

    #[test]
    #[should_panic(expected = "does not fit 24 bits")]
    fn a_slot_too_large_is_refused() {
        Token::on(Op::Recv, Token::MAX_SLOTS, 0).pack();
    }
}
