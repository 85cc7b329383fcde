//! Bytes as a program of edits: a fuzzer that changes the bytes changes the edits made to a valid
//! file.

/// Bytes consumed from the front.
pub struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte, 0 at the end.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn word(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// A number below `count`, which is above 0.
    pub fn below(&mut self, count: usize) -> usize {
        match count {
            0..=256 => usize::from(self.byte()) % count.max(1),
            _ => self.word() % count,
        }
    }

    pub fn pick<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[self.below(among.len())]
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// An axis size: small ones, those near powers of two, and those whose products overflow.
    pub fn size(&mut self) -> usize {
        match self.byte() {
            small @ 0..=199 => usize::from(small % 20),
            200..=219 => self.word(),
            220..=229 => 1 << 20,
            230..=239 => 1 << 32,
            240..=247 => 1 << 62,
            _ => usize::MAX,
        }
    }

    /// A number that measurements should not contain, or any other.
    pub fn number(&mut self) -> f64 {
        const UNUSUAL: [f64; 12] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0,
            0.0,
            1e300,
            -1e300,
            1e15,
            9.3e18,
            4_294_967_296.0,
            0.5,
            1e-300,
        ];
        match self.byte() {
            byte @ 0..=127 => UNUSUAL[usize::from(byte) % UNUSUAL.len()],
            _ => f64::from(self.word() as u16 as i16),
        }
    }
}
