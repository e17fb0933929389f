//! Makes new inputs of old ones. Most random bytes are refused at the first of them; what a parser was not
//! made for is something nearly right.

/// What means something to some parser.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\0",
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%2e%2e",
    b"+",
    b";",
    b",",
    b".",
    b"..",
    b":",
    b"//",
    b"/",
    b"?",
    b"#",
    b"@",
    b"\\",
    b"\"",
    b"'",
    b"<",
    b">",
    b"{",
    b"}",
    b"[",
    b"]",
    b"~",
    b" ",
    b"\t",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"{}",
    b"[]",
    b"\"\"",
    b"localhost",
    b"127.0.0.1",
    b"[::1]",
    b"0x7f.1",
    b"::ffff:127.0.0.1",
    b"https://",
    b"http://",
    b"javascript:",
    b"none",
    b"alg",
    b"kid",
    b"crit",
    b"S256",
    b"openid",
    b"<script>",
    b"&quot;",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"GET / HTTP/1.1\r\n",
];

/// The longest input that is made.
const LONGEST: usize = 4096;

pub struct Mutator {
    seeds: Vec<Vec<u8>>,
    state: u64,
}

impl Mutator {
    /// The same inputs for the same name and seeds.
    pub fn new(name: &str, seeds: Vec<Vec<u8>>) -> Self {
        let state =
            name.bytes().fold(1, |sum: u64, it| sum.wrapping_mul(31).wrapping_add(it.into()));
        Self { seeds, state }
    }

    pub fn next(&mut self) -> Vec<u8> {
        let mut data = self.seed();
        for _ in 0..=self.below(4) {
            data = self.changed(data);
        }
        data.truncate(LONGEST);
        data
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds[at].clone()
    }

    fn changed(&mut self, mut data: Vec<u8>) -> Vec<u8> {
        let at = self.below(data.len() + 1);
        let end = at + self.below((data.len() - at).min(32) + 1);
        match self.below(9) {
            0 if at < data.len() => data[at] ^= 1 << self.below(8),
            1 if at < data.len() => data[at] = self.byte(),
            2 => drop(data.drain(at..end)),
            3 => data.truncate(at),
            4 => {
                let piece = data[at..end].repeat(self.below(8));
                drop(data.splice(at..at, piece));
            }
            5 => {
                // The head of one, the tail of another.
                let other = self.seed();
                let from = self.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            6 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let to = from + self.below((other.len() - from).min(64) + 1);
                drop(data.splice(at..at, other[from..to].iter().copied()));
            }
            7 => {
                let byte = self.byte();
                data.insert(at, byte);
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let over = if self.below(2) == 0 { at } else { end };
                drop(data.splice(at..over, word.iter().copied()));
            }
        }
        data
    }

    fn byte(&mut self) -> u8 {
        self.random().to_be_bytes()[0]
    }

    /// Less than `most`, which is more than nothing.
    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).expect("a length");
        usize::try_from(self.random() % most).expect("less than a length")
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Makes an input of about this length.
pub type Grown<'a> = Box<dyn Fn(usize) -> Vec<u8> + 'a>;

/// Ways to make long inputs: the seeds over and over, their last lines drawn out, and what nests or repeats.
pub fn growing(seeds: &[(String, Vec<u8>)]) -> Vec<Grown<'_>> {
    let cycled = |piece: &[u8], size: usize| -> Vec<u8> {
        piece.iter().copied().cycle().take(size).collect()
    };
    let mut all: Vec<Grown<'_>> = Vec::new();
    for (_, seed) in seeds.iter().filter(|(_, seed)| !seed.is_empty()).take(2) {
        all.push(Box::new(move |size| cycled(seed, size)));
        let line = seed.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for filler in ["[", "{\"a\":", "a=1&", "a,", "%41", ".", " ", "\"", "10.0.0.1, "] {
            all.push(Box::new(move |size| {
                [&seed[..line], &cycled(filler.as_bytes(), size)[..]].concat()
            }));
        }
    }
    all
}
