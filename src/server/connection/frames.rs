//! Follows the frames of an HTTP/2 connection ([RFC 9113 §4.1]), as far as needed to know whether a header block is
//! unfinished: `h2` has no timeout for that.
//!
//! [RFC 9113 §4.1]: https://www.rfc-editor.org/rfc/rfc9113#section-4.1

use super::preface::PREFACE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The position in the stream of frames.
#[derive(Debug)]
pub(super) struct FrameTracker {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// The frame header of nine bytes, as far as it has arrived.
    head: [u8; 9],
    head_len: usize,
    /// Bytes of the payload that are still to come.
    payload: usize,
    /// Whether the first frame, the peer's settings, was complete.
    settings_received: bool,
    /// Whether a header block has begun whose last frame has not arrived.
    in_header_block: bool,
}

impl FrameTracker {
    pub(super) fn new() -> Self {
        let preface = PREFACE.len();
        Self {
            preface,
            head: [0; 9],
            head_len: 0,
            payload: 0,
            settings_received: false,
            in_header_block: false,
        }
    }

    /// Whether the preface, a header block or the beginning of a frame is still to be completed.
    pub(super) fn is_unfinished(&self) -> bool {
        let inside = self.head_len == self.head.len();
        !self.settings_received
            || self.in_header_block
            || (0 < self.head_len && !(inside && self.frame_type() == DATA))
    }

    /// Reads the bytes that arrived. Whether a header block, or a frame outside of one, ended in them.
    pub(super) fn record(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        skip(&mut bytes, &mut self.preface);
        while !bytes.is_empty() {
            if self.head_len < self.head.len() {
                let more = bytes.len().min(self.head.len() - self.head_len);
                self.head[self.head_len..][..more].copy_from_slice(&bytes[..more]);
                (self.head_len, bytes) = (self.head_len + more, &bytes[more..]);
                if self.head_len < self.head.len() {
                    return ended;
                }
                let [high, middle, low, ..] = self.head;
                self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
            }
            skip(&mut bytes, &mut self.payload);
            if self.payload == 0 {
                self.end_frame();
                ended |= !self.in_header_block;
            }
        }
        ended
    }

    fn frame_type(&self) -> u8 {
        self.head[3]
    }

    fn end_frame(&mut self) {
        if matches!(self.frame_type(), HEADERS | CONTINUATION) {
            self.in_header_block = self.head[4] & END_HEADERS == 0;
        }
        (self.settings_received, self.head_len) = (true, 0);
    }
}

fn skip(bytes: &mut &[u8], rest: &mut usize) {
    let over = bytes.len().min(*rest);
    (*bytes, *rest) = (&bytes[over..], *rest - over);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(9 + payload, b'x');
        frame
    }

    fn greeted() -> FrameTracker {
        let mut frames = FrameTracker::new();
        assert!(frames.is_unfinished());
        frames.record(PREFACE);
        assert!(frames.is_unfinished(), "the settings are still to come");
        assert!(frames.record(&frame(4, 0, 12)));
        frames
    }

    #[test]
    fn a_header_is_unfinished_until_the_frame_that_says_it_is_the_last() {
        #[rustfmt::skip]
        let table = [
            (vec![],                                                             false),
            (vec![frame(HEADERS, END_HEADERS, 20)],                              false),
            (vec![frame(HEADERS, 0, 20)],                                        true),
            (vec![frame(HEADERS, 0, 20), frame(CONTINUATION, 0, 0)],             true),
            (vec![frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 9)],   false),
            (vec![frame(HEADERS, END_HEADERS, 20)[..28].to_vec()],               true),
            (vec![frame(HEADERS, END_HEADERS, 20)[..3].to_vec()],                true),
            (vec![frame(DATA, 0, 20)[..12].to_vec()],                            false),
            (vec![frame(DATA, 0, 20)[..9].to_vec()],                             false),
            (vec![frame(6, 0, 8)[..8].to_vec()],                                 true),
            (vec![frame(6, 0, 8), frame(8, 0, 4)],                               false),
        ];
        for (sent, unfinished) in table {
            let mut frames = greeted();
            frames.record(&sent.concat());
            assert_eq!(frames.is_unfinished(), unfinished, "{sent:?}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_to_the_same_however_the_bytes_are_cut(
            sent in prop::collection::vec((0_u8..10, 0_u8..8, 0_usize..40), 0..8),
            cuts in prop::collection::vec(1_usize..30, 1..60),
            rest in 0_usize..60,
        ) {
            let mut bytes = sent.iter().flat_map(|it| frame(it.0, it.1, it.2)).collect::<Vec<_>>();
            bytes.truncate(bytes.len().saturating_sub(rest));
            let (mut whole, mut pieces, mut left) = (greeted(), greeted(), &*bytes);
            whole.record(&bytes);
            for cut in cuts.iter().cycle() {
                if left.is_empty() { break }
                let (piece, more) = left.split_at(left.len().min(*cut));
                pieces.record(piece);
                left = more;
            }
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }
    }
}
