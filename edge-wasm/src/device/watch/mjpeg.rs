//! Motion JPEG over HTTP: `multipart/x-mixed-replace`, one picture per part.
//!
//! Cameras differ in what they send. The boundary may be given with or without its leading dashes, parts may lack a length, and
//! lines may end without a carriage return. What is not a picture is skipped.
//!
//! ```
//! use fogline_edge::device::watch::Mjpeg;
//!
//! let mut stream = Mjpeg::of("multipart/x-mixed-replace; boundary=frame", 1 << 20).unwrap();
//! stream.push(b"--frame\r\nContent-Length: 3\r\n\r\none\r\n--frame\r\n\r\ntwo\r\n--fr");
//! assert_eq!(stream.next_frame().unwrap().unwrap(), b"one");
//! assert_eq!(stream.next_frame().unwrap(), None); // the second may go on
//! stream.push(b"ame\r\n");
//! assert_eq!(stream.next_frame().unwrap().unwrap(), b"two");
//! ```

use core::fmt;

/// The most bytes of a part's headers.
const MOST_HEADERS: usize = 8 << 10;

/// A stream of pictures, parsed as its bytes arrive. Takes memory for one picture.
#[derive(Debug)]
pub struct Mjpeg {
    /// The boundary with two dashes before it.
    boundary: Vec<u8>,
    most: usize,
    buffer: Vec<u8>,
    at: At,
    /// Bytes of the buffer in which there is no boundary.
    searched: usize,
}

/// What the buffer begins with.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Anything before a boundary.
    Between,
    /// The rest of a boundary's line, and headers.
    Headers,
    /// A picture of known length.
    Sized(usize),
    /// A picture that ends at the next boundary.
    Unsized,
    /// Another part, up to the next boundary.
    Other,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MjpegError {
    /// A picture exceeds the limit of bytes.
    TooLarge(usize),
    /// A part has more headers than any camera sends.
    Headers,
}

impl MjpegError {
    /// The stable error code.
    pub fn word(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "camera_too_large",
            Self::Headers => "camera_stream",
        }
    }
}

impl fmt::Display for MjpegError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(most) => write!(f, "a picture is larger than {most} bytes"),
            Self::Headers => write!(f, "the headers of a part exceed {MOST_HEADERS} bytes"),
        }
    }
}

impl std::error::Error for MjpegError {}

impl Mjpeg {
    /// A stream with this `Content-Type`, or `None` if it is not Motion JPEG. Pictures have at most `most` bytes.
    pub fn of(content_type: &str, most: usize) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        let kind = kind.trim();
        if !kind.get(..10)?.eq_ignore_ascii_case("multipart/") {
            return None;
        }
        let named = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
        })?;
        let name = named.trim_start_matches('-');
        (!name.is_empty() && name.len() <= 200).then(|| Self {
            boundary: [b"--", name.as_bytes()].concat(),
            most,
            buffer: vec![],
            at: At::Between,
            searched: 0,
        })
    }

    /// Adds bytes as they arrive. Take all frames before the next ones.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole picture, if it has arrived.
    ///
    /// # Errors
    /// If a picture or its headers are too large.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, MjpegError> {
        loop {
            match self.at {
                At::Between | At::Other => {
                    let Some(end) = self.find() else {
                        // Only the start of a boundary may be of use later.
                        let useless = self.buffer.len().saturating_sub(self.boundary.len());
                        self.take(useless);
                        return Ok(None);
                    };
                    self.take(end + self.boundary.len());
                    self.at = At::Headers;
                }
                At::Headers => {
                    let Some((length, end)) = headers_end(&self.buffer) else {
                        if self.buffer.len() > MOST_HEADERS {
                            return Err(MjpegError::Headers);
                        }
                        return Ok(None);
                    };
                    self.at = self.part(length)?;
                    self.take(end);
                }
                At::Sized(length) => {
                    if self.buffer.len() < length {
                        return Ok(None);
                    }
                    self.at = At::Between;
                    return Ok(Some(self.take(length)));
                }
                At::Unsized => {
                    let end = self.find();
                    if end.unwrap_or(self.buffer.len()) > self.most + self.boundary.len() + 2 {
                        return Err(MjpegError::TooLarge(self.most));
                    }
                    let Some(end) = end else { return Ok(None) };
                    let mut picture = self.take(end);
                    let line = picture.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r"));
                    let whole = match line {
                        Some(Some(line)) => line.len(),
                        Some(None) => picture.len() - 1,
                        None => picture.len(),
                    };
                    picture.truncate(whole);
                    self.at = At::Between;
                    return Ok(Some(picture));
                }
            }
        }
    }

    /// What comes after headers of `length` bytes.
    fn part(&self, length: usize) -> Result<At, MjpegError> {
        let text = String::from_utf8_lossy(&self.buffer[..length]);
        let header = |wanted: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        if header("content-type").is_some_and(|kind| !kind.to_lowercase().starts_with("image/")) {
            return Ok(At::Other);
        }
        match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) if length > self.most => Err(MjpegError::TooLarge(self.most)),
            Some(length) => Ok(At::Sized(length)),
            None => Ok(At::Unsized),
        }
    }

    /// Where the next boundary begins.
    fn find(&mut self) -> Option<usize> {
        let length = self.boundary.len();
        let found = self.buffer[self.searched..]
            .windows(length)
            .position(|window| window == self.boundary)
            .map(|at| at + self.searched);
        self.searched = self.buffer.len().saturating_sub(length - 1).max(self.searched);
        found
    }

    /// Takes the first bytes out of the buffer.
    fn take(&mut self, length: usize) -> Vec<u8> {
        self.searched = 0;
        let rest = self.buffer.split_off(length);
        core::mem::replace(&mut self.buffer, rest)
    }
}

/// The length of the headers that `buffer` begins with, and where what they describe begins.
fn headers_end(buffer: &[u8]) -> Option<(usize, usize)> {
    // An empty line: the first line feed that another follows, or a carriage return and another.
    let lines = buffer.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
    lines.map(|(at, _)| at).find_map(|at| match buffer[at + 1..] {
        [b'\n', ..] => Some((at, at + 2)),
        [b'\r', b'\n', ..] => Some((at, at + 3)),
        _ => None,
    })
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All frames of a stream that arrives in pieces of this size.
    fn frames(content_type: &str, bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, MjpegError> {
        let mut stream = Mjpeg::of(content_type, 1000).unwrap();
        let mut frames = vec![];
        for piece in bytes.chunks(piece) {
            stream.push(piece);
            while let Some(frame) = stream.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn streams_as_cameras_send_them() {
        for (content_type, bytes) in [
            // With lengths, and the boundary's dashes in the header, too.
            (
                "multipart/x-mixed-replace;boundary=--myboundary",
                &b"--myboundary\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nfirst\r\n--myboundary\r\n\
                   content-type:image/jpeg\r\ncontent-length:6\r\n\r\nsecond\r\n"[..],
            ),
            // Without, a preamble, quotes, and another parameter.
            (
                "Multipart/X-Mixed-Replace; charset=x; boundary=\"b\"",
                b"hello\r\n--b\r\nContent-Type: image/jpeg\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n",
            ),
            // Lines without carriage returns.
            ("multipart/x-mixed-replace; boundary=b", b"--b\nX: y\n\nfirst\n--b\n\nsecond\n--b\n"),
            // A part that is no picture.
            (
                "multipart/x-mixed-replace; boundary=b",
                b"--b\r\nContent-Type: text/plain\r\n\r\nno\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b",
            ),
        ] {
            for piece in [1, 2, 7, 1000] {
                let found = frames(content_type, bytes, piece).unwrap();
                assert_eq!(found, [&b"first"[..], b"second"], "{content_type}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_kept() {
        let kind = "multipart/x-mixed-replace; boundary=b";
        let sized = b"--b\r\nContent-Length: 1001\r\n\r\n";
        assert_eq!(frames(kind, sized, 9), Err(MjpegError::TooLarge(1000)));
        let endless = [&b"--b\r\n\r\n"[..], &[7; 5000]].concat();
        assert_eq!(frames(kind, &endless, 100), Err(MjpegError::TooLarge(1000)));
        let headers = [&b"--b\r\n"[..], &b"X: y\r\n".repeat(3000)].concat();
        assert_eq!(frames(kind, &headers, 100), Err(MjpegError::Headers));
        let mut noise = Mjpeg::of(kind, 1000).unwrap();
        for _ in 0..1000 {
            noise.push(&[7; 1000]);
            assert_eq!(noise.next_frame(), Ok(None));
        }
        assert!(noise.buffer.len() < 10);
    }

    #[test]
    fn other_types_are_no_stream() {
        for kind in
            ["image/jpeg", "", "multipart/x-mixed-replace", "multipart/x; boundary=--", "é;"]
        {
            assert!(Mjpeg::of(kind, 1).is_none(), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn frames_of_any_bytes_arrive_in_any_pieces(
            pictures in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..5),
            sized: bool,
            piece in 1_usize..400,
        ) {
            let mut bytes = vec![];
            for picture in &pictures {
                bytes.extend_from_slice(b"--fence-of-these-tests\r\n");
                if sized {
                    bytes.extend_from_slice(format!("Content-Length: {}\r\n", picture.len()).as_bytes());
                }
                bytes.extend_from_slice(b"\r\n");
                bytes.extend_from_slice(picture);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"--fence-of-these-tests--\r\n");
            let found = frames("multipart/x-mixed-replace; boundary=fence-of-these-tests", &bytes, piece);
            prop_assert_eq!(found.unwrap(), pictures);
        }

        #[test]
        fn nothing_that_arrives_breaks_the_parser(bytes in prop::collection::vec(
            prop::sample::select(b"-b\r\n: lengthContent-Length: 5\xff".to_vec()), 0..2000), piece in 1_usize..100)
        {
            let _ = frames("multipart/x-mixed-replace; boundary=b", &bytes, piece);
        }
    }
}
