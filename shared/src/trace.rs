//! W3C Trace Context, level 1: the header `traceparent`, by which the log of one program finds that of another.
//!
//! It is written here because it takes a page. The small crates for it are unmaintained and bring a generator of random numbers;
//! the maintained ones are OpenTelemetry's, and bring an SDK.
//!
//! ```
//! use fogline::trace::Traceparent;
//!
//! let sent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let trace = Traceparent::parse(sent).unwrap();
//! assert!(trace.sampled);
//! assert_eq!(trace.to_string().as_bytes(), sent);
//! ```

use core::fmt;

/// The header's name.
pub const HEADER: &str = "traceparent";

/// The value of a valid `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Traceparent {
    /// The trace: the same for all requests that one cause leads to.
    pub trace_id: [u8; 16],
    /// The sender's part of the trace, the parent of what the receiver does.
    pub span_id: [u8; 8],
    /// Whether the sender may have recorded its part.
    pub sampled: bool,
}

impl Traceparent {
    /// Parses the header's value. `None` if it is invalid, which the standard wants treated as if there were none. Of a version
    /// that is newer than 00 only the fields of 00 are read, as the standard says.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = str::from_utf8(value).ok()?.split('-');
        let [version] = bytes(fields.next()?)?;
        let trace_id = bytes(fields.next()?)?;
        let span_id = bytes(fields.next()?)?;
        let [flags] = bytes(fields.next()?)?;
        let ends_well = match version {
            0 => fields.next().is_none(),
            0xff => false,
            _ => true,
        };
        let is_valid = ends_well && trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// The bytes that a field gives in lower-case hexadecimal.
fn bytes<const N: usize>(field: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !field.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower && hex::decode_to_slice(field, &mut bytes).is_ok()).then_some(bytes)
}

/// The header's value, in version 00.
impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(self.trace_id), hex::encode(self.span_id));
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn parsed(value: &str) -> Option<Traceparent> {
        Traceparent::parse(value.as_bytes())
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let trace = Traceparent { trace_id: [0x0a; 16], span_id: [0xb0; 8], sampled: false };
        for trace in [trace, Traceparent { sampled: true, ..trace }] {
            assert_eq!(parsed(&trace.to_string()), Some(trace));
        }
    }

    #[test]
    fn only_the_sampled_flag_counts() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let trace = parsed(&format!("00-{TRACE}-{SPAN}-{flags}")).unwrap();
            assert_eq!(trace.sampled, sampled, "{flags}");
        }
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let known = parsed(&format!("00-{TRACE}-{SPAN}-01"));
        assert!(known.is_some());
        for newer in ["cc-TRACE-SPAN-01", "01-TRACE-SPAN-01-", "fe-TRACE-SPAN-01-what-the.future"] {
            let newer = newer.replace("TRACE", TRACE).replace("SPAN", SPAN);
            assert_eq!(parsed(&newer), known, "{newer}");
        }
    }

    #[test]
    fn what_the_standard_calls_invalid_is() {
        for bad in [
            "",
            "-",
            "00",
            "00-TRACE-SPAN",
            "00-TRACE-SPAN-",
            "00-TRACE-SPAN-1",
            "00-TRACE-SPAN-001",
            "00-TRACE-SPAN-0g",
            // Version 00 ends after the flags; a newer one goes on with a dash or not at all.
            "00-TRACE-SPAN-01-",
            "00-TRACE-SPAN-01-more",
            "01-TRACE-SPAN-01.more",
            "ff-TRACE-SPAN-01",
            "0-TRACE-SPAN-01",
            "000-TRACE-SPAN-01",
            ".0-TRACE-SPAN-01",
            "00-00000000000000000000000000000000-SPAN-01",
            "00-TRACE-0000000000000000-01",
            "00-TRACE0-SPAN-01",
            "00-0af7651916cd43dd8448eb211c8031-SPAN-01",
            "00-0AF7651916CD43DD8448EB211C80319C-SPAN-01",
            "00-TRACE-B7AD6B7169203331-01",
            "00_TRACE_SPAN_01",
            // Several headers in one, as function URLs join them.
            "00-TRACE-SPAN-01,00-TRACE-SPAN-01",
            " 00-TRACE-SPAN-01",
        ] {
            let bad = bad.replace("TRACE", TRACE).replace("SPAN", SPAN);
            assert_eq!(parsed(&bad), None, "{bad}");
        }
        assert_eq!(Traceparent::parse(b"00-\xff"), None);
    }
}
