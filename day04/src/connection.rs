//! What the loop knows of one connection between its completions.

/// Where a connection is in its life. A slot without a client has no connection worth
/// reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Accepted beyond the capacity: it waits until a slot comes free, and nothing is in
    /// flight for it.
    #[default]
    Waiting,
    /// Requests are received and answered.
    Open,
    /// Ack: the answer and the end of our side are on their way.
    Answering,
    /// Ack: answered; what the client still sends is thrown away until it ends.
    Lingering,
    /// It must go, once nothing is in flight.
    Ending,
    /// The slot is being closed.
    Closing,
}

/// One client. Its slot is its index in the table of connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    pub stage: Stage,
    /// A receive is armed.
    pub receiving: bool,
    /// A cancel for that receive is under way.
    pub cancelling: bool,
    /// A send is in flight; there is never a second one, or they might overtake each other.
    pub sending: bool,
    /// It waits for a receive buffer.
    pub parked: bool,
    /// The client sends no more.
    pub end_of_input: bool,
    /// Part of a request has come, and its end has not.
    pub mid_request: bool,
    /// Our side is shut down, or about to be.
    pub shut: bool,
    /// What the client had not taken of its replies when we last asked, during this send.
    pub unread: Option<i32>,
    /// Bytes of the first reply that are sent.
    pub sent: u32,
    /// Buffers that hold replies, oldest first.
    pub replies: Chain,
}

/// A queue of buffers, threaded through [`Chains`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Chain {
    first: u16,
    last: u16,
    len: u16,
}

impl Chain {
    /// Buffers in the queue.
    pub fn len(&self) -> u16 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The links of every [`Chain`]: each buffer is in one queue at most, so one link a buffer
/// is enough for all connections, and queueing never allocates.
#[derive(Debug)]
pub struct Chains {
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    next: u16,
    bytes: u32,
}

impl Chains {
    /// For buffers numbered below `buffers`.
    pub fn new(buffers: u16) -> Chains {
        Chains { links: vec![Link::default(); usize::from(buffers)] }
    }

    /// Puts a buffer that holds `bytes` at the end.
    pub fn push(&mut self, chain: &mut Chain, buffer: u16, bytes: u32) {
        self.links[usize::from(buffer)] = Link { next: buffer, bytes };
        if chain.is_empty() {
            chain.first = buffer;
        } else {
            self.links[usize::from(chain.last)].next = buffer;
        }
        chain.last = buffer;
        chain.len += 1;
    }

    /// The oldest buffer and the bytes it holds.
    pub fn first(&self, chain: &Chain) -> Option<(u16, u32)> {
        (!chain.is_empty()).then(|| (chain.first, self.links[usize::from(chain.first)].bytes))
    }

    /// Takes the oldest buffer out.
    pub fn pop(&mut self, chain: &mut Chain) -> Option<u16> {
        let (buffer, _) = self.first(chain)?;
        chain.first = self.links[usize::from(buffer)].next;
        chain.len -= 1;
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_chains_share_the_links_and_keep_their_order() {
        let mut chains = Chains::new(4);
        let (mut odd, mut even) = (Chain::default(), Chain::default());
        for (buffer, bytes) in [(3, 30), (1, 10)] {
            chains.push(&mut odd, buffer, bytes);
            chains.push(&mut even, buffer - 1, bytes - 1);
        }
        assert_eq!(chains.first(&odd), Some((3, 30)));
        assert_eq!([chains.pop(&mut odd), chains.pop(&mut odd)], [Some(3), Some(1)]);
        assert_eq!(chains.pop(&mut odd), None);
        assert_eq!([chains.pop(&mut even), chains.pop(&mut even)], [Some(2), Some(0)]);
        chains.push(&mut odd, 0, 5);
        assert_eq!((chains.first(&odd), odd.len()), (Some((0, 5)), 1));
    }
}
