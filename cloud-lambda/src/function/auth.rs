//! Authentication: by AWS (IAM), by bearer token, or, for a local stack that asks for it, not at all.
//!
//! The function stores only the SHA-256 of each token. It accepts several tokens at once, so that one can be rotated while
//! devices still send the old one.

use std::fmt;

use fogline::refusal::{Refusal, UNAUTHORIZED};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::call::Caller;
use crate::store::variable;

/// Minimum length of a token in bytes. Shorter tokens can be guessed, and an empty one is what a client sends whose
/// variable is not set.
const SHORTEST: usize = 16;

/// How the function authenticates its callers.
#[derive(Clone)]
#[non_exhaustive]
pub enum Auth {
    /// AWS has authenticated the caller and says so: the function URL's auth type is `AWS_IAM`.
    Iam,
    /// The caller sends a bearer token whose SHA-256 is one of these.
    Tokens(Vec<[u8; 32]>),
    /// No authentication: anybody may call.
    Anybody,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iam => "iam",
            Self::Tokens(_) => "token",
            Self::Anybody => "none",
        })
    }
}

impl Auth {
    /// Reads `FOGLINE_AUTH` (`iam`, `token` or `none`) and, for `token`, `FOGLINE_TOKEN_SHA256`.
    ///
    /// # Errors
    /// If `FOGLINE_AUTH` is not set or unknown, so that nobody opens a function by forgetting it, or if
    /// `FOGLINE_TOKEN_SHA256` is missing, is not a list of digests, or holds the digest of an empty token.
    pub fn from_env() -> Result<Self, String> {
        Self::new(variable("FOGLINE_AUTH").as_deref(), variable("FOGLINE_TOKEN_SHA256").as_deref())
    }

    fn new(kind: Option<&str>, digests: Option<&str>) -> Result<Self, String> {
        match kind {
            Some("iam") => Ok(Self::Iam),
            Some("none") => Ok(Self::Anybody),
            Some("token") => {
                let wanted = "FOGLINE_TOKEN_SHA256 must list the SHA-256 of each token: 64 hexadecimal digits each, separated by commas";
                let nothing = "FOGLINE_TOKEN_SHA256 contains the SHA-256 of an empty token: was the variable that holds the token set?";
                let digests = digests.ok_or(wanted)?.split(',').map(|text| {
                    let mut digest = [0; 32];
                    hex::decode_to_slice(text.trim(), &mut digest).map_err(|_| wanted)?;
                    // Also with a line feed, which `echo` adds.
                    if ["", "\n"].iter().any(|empty| Sha256::digest(empty)[..] == digest) {
                        return Err(nothing);
                    }
                    Ok(digest)
                });
                Ok(Self::Tokens(digests.collect::<Result<_, &str>>()?))
            }
            Some(other) => Err(format!("FOGLINE_AUTH is '{other}': use iam, token or none")),
            None => {
                Err("FOGLINE_AUTH is not set: use iam, token, or none to let anybody in".into())
            }
        }
    }

    /// Checks that a request with these headers, from this caller, is allowed.
    ///
    /// # Errors
    /// `unauthorized` if it is not.
    pub fn check(&self, headers: &HeaderMap, caller: Caller) -> Result<(), Refusal> {
        let refusal = |why: &str| Refusal::new(UNAUTHORIZED, why);
        let digests = match (self, caller) {
            (Self::Iam, Caller::Verified) | (Self::Anybody, _) => return Ok(()),
            // A function that relies on AWS may end up behind a URL without authentication.
            (Self::Iam, Caller::Unknown) => {
                return Err(refusal("this function needs AWS authentication: sign the request"));
            }
            (Self::Tokens(digests), _) => digests,
        };
        let shown = headers.get(AUTHORIZATION).ok_or_else(|| {
            refusal("this function needs a token: send the header 'authorization: Bearer TOKEN'")
        })?;
        let token = bearer(shown)
            .ok_or_else(|| refusal("the authorization header is not of the form 'Bearer TOKEN'"))?;
        if token.len() < SHORTEST {
            return Err(refusal("the token is too short: tokens have at least 16 bytes"));
        }
        let digest = Sha256::digest(token);
        // Compare with every digest, in constant time: the time taken must not tell which one came close.
        let known = digests
            .iter()
            .fold(Choice::from(0), |known, one| known | one.as_slice().ct_eq(digest.as_slice()));
        if known.into() { Ok(()) } else { Err(refusal("this function does not know the token")) }
    }
}

/// The token of a `Bearer TOKEN` header, or `None` if the header has another form.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(authorization: Option<&str>) -> HeaderMap {
        let values = authorization.map(|text| (AUTHORIZATION, text.parse().unwrap()));
        values.into_iter().collect()
    }

    fn digest(token: &str) -> String {
        hex::encode(Sha256::digest(token))
    }

    const OLD: &str = "old-0123456789ab";
    const NEW: &str = "new-0123456789ab";

    #[test]
    fn two_tokens_are_taken_at_once_and_no_other() {
        let digests = format!("{}, {}", digest(OLD), digest(NEW));
        let auth = Auth::new(Some("token"), Some(&digests)).unwrap();
        for good in [format!("Bearer {OLD}"), format!("bearer {NEW}"), format!("Bearer  {NEW} ")] {
            auth.check(&shown(Some(&good)), Caller::Unknown).unwrap();
        }
        let basic = format!("Basic {OLD}");
        let both = format!("Bearer {OLD} {NEW}");
        for bad in
            ["Bearer other-0123456789ab", "Bearer ", &basic, OLD, "Bearer", "Bearer old", &both]
        {
            let refusal = auth.check(&shown(Some(bad)), Caller::Verified).unwrap_err();
            assert_eq!((refusal.error.as_str(), refusal.status()), ("unauthorized", 401), "{bad}");
            assert!(!refusal.message.contains("old"), "{}", refusal.message);
        }
        assert_eq!(auth.check(&shown(None), Caller::Unknown).unwrap_err().status(), 401);
        // The digest itself is not a token.
        assert!(
            auth.check(&shown(Some(&format!("Bearer {}", digest(OLD)))), Caller::Unknown).is_err()
        );
        let rotated = Auth::new(Some("token"), Some(&digest(NEW))).unwrap();
        rotated.check(&shown(Some(&format!("Bearer {NEW}"))), Caller::Unknown).unwrap();
        rotated.check(&shown(Some(&format!("Bearer {OLD}"))), Caller::Unknown).unwrap_err();
    }

    #[test]
    fn an_empty_tokens_digest_opens_nothing_and_neither_does_a_short_token() {
        for empty in ["", "\n"] {
            for digests in [digest(empty), format!("{},{}", digest(OLD), digest(empty))] {
                let error = Auth::new(Some("token"), Some(&digests)).unwrap_err();
                assert!(error.contains("was the variable that holds the token set"), "{error}");
            }
        }
        // Even if its digest is configured.
        let short = &OLD[..SHORTEST - 1];
        let auth = Auth::new(Some("token"), Some(&digest(short))).unwrap();
        let refusal =
            auth.check(&shown(Some(&format!("Bearer {short}"))), Caller::Unknown).unwrap_err();
        assert_eq!(refusal.status(), 401);
    }

    #[test]
    fn nobody_is_let_in_by_forgetting_something() {
        for (kind, digests) in [
            (None, None),
            (Some("open"), None),
            (Some("token"), None),
            (Some("token"), Some("abc")),
            (Some("token"), Some(",")),
        ] {
            assert!(Auth::new(kind, digests).is_err(), "{kind:?} {digests:?}");
        }
        assert!(
            Auth::new(Some("none"), None).unwrap().check(&shown(None), Caller::Unknown).is_ok()
        );
        let iam = Auth::new(Some("iam"), None).unwrap();
        assert!(iam.check(&shown(None), Caller::Verified).is_ok());
        // Behind a URL without authentication.
        assert_eq!(
            iam.check(&shown(Some("Bearer any")), Caller::Unknown).unwrap_err().status(),
            401
        );
        assert_eq!(format!("{:?}", Auth::Tokens(vec![[7; 32]])), "token");
    }
}
