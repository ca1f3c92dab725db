//! Who may ask: whoever AWS let through, whoever shows a token, or, on a local stack that says so, anybody.
//!
//! Only tokens' SHA-256 are known here. There may be several at once, so that one can be replaced while edges still show
//! the other.

use std::fmt;

use fogline::refusal::{Refusal, UNAUTHORIZED};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::call::Caller;
use crate::store::variable;

/// Bytes of the shortest token that opens a function: shorter ones can be guessed, and the empty one is what whoever
/// forgot a variable shows.
const SHORTEST: usize = 16;

/// How the function knows who asks.
#[derive(Clone)]
#[non_exhaustive]
pub enum Auth {
    /// Whoever AWS has let through, and says so: the function URL's auth type is `AWS_IAM`.
    Iam,
    /// Whoever shows a token of one of these digests.
    Tokens(Vec<[u8; 32]>),
    /// Anybody.
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
    /// When the first is not set, so that nobody opens a function by forgetting it, or the second holds no digest, or
    /// that of nothing.
    pub fn from_env() -> Result<Self, String> {
        Self::new(variable("FOGLINE_AUTH").as_deref(), variable("FOGLINE_TOKEN_SHA256").as_deref())
    }

    fn new(kind: Option<&str>, digests: Option<&str>) -> Result<Self, String> {
        match kind {
            Some("iam") => Ok(Self::Iam),
            Some("none") => Ok(Self::Anybody),
            Some("token") => {
                let wanted = "FOGLINE_TOKEN_SHA256 holds the SHA-256 of each token, 64 hexadecimal digits, after commas";
                let nothing = "FOGLINE_TOKEN_SHA256 holds the SHA-256 of no token, but of an empty text: was the token's variable set?";
                let digests = digests.ok_or(wanted)?.split(',').map(|text| {
                    let mut digest = [0; 32];
                    hex::decode_to_slice(text.trim(), &mut digest).map_err(|_| wanted)?;
                    // With the line's end too, as echo writes it.
                    if ["", "\n"].iter().any(|empty| Sha256::digest(empty)[..] == digest) {
                        return Err(nothing);
                    }
                    Ok(digest)
                });
                Ok(Self::Tokens(digests.collect::<Result<_, &str>>()?))
            }
            Some(other) => Err(format!("FOGLINE_AUTH is '{other}', and not iam, token or none")),
            None => Err("FOGLINE_AUTH is not set: iam, token, or none for anybody".into()),
        }
    }

    /// Whether one may ask who sent these headers, and whom the host has verified or not.
    ///
    /// # Errors
    /// With `unauthorized`.
    pub fn check(&self, headers: &HeaderMap, caller: Caller) -> Result<(), Refusal> {
        let refusal = |why: &str| Refusal::new(UNAUTHORIZED, why);
        let digests = match (self, caller) {
            (Self::Iam, Caller::Verified) | (Self::Anybody, _) => return Ok(()),
            // A version that counts on AWS may come to stand behind a URL that asks nobody.
            (Self::Iam, Caller::Unknown) => {
                return Err(refusal("this function takes requests that AWS has let through"));
            }
            (Self::Tokens(digests), _) => digests,
        };
        let shown = headers.get(AUTHORIZATION).ok_or_else(|| {
            refusal("this function takes requests with a token: authorization: Bearer TOKEN")
        })?;
        let token = bearer(shown).ok_or_else(|| refusal("the authorization is no bearer token"))?;
        if token.len() < SHORTEST {
            return Err(refusal("no token is shorter than 16 bytes"));
        }
        let digest = Sha256::digest(token);
        // All of them, and all of each: how long it takes tells nothing of which, or how nearly.
        let known = digests
            .iter()
            .fold(Choice::from(0), |known, one| known | one.as_slice().ct_eq(digest.as_slice()));
        if known.into() { Ok(()) } else { Err(refusal("the token is not one of this function's")) }
    }
}

/// The token in `Bearer TOKEN`.
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
        // The digest opens nothing.
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
                assert!(error.contains("was the token's variable set"), "{error}");
            }
        }
        // Even where its digest is one of the function's.
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
        // Behind a URL that asks nobody.
        assert_eq!(
            iam.check(&shown(Some("Bearer any")), Caller::Unknown).unwrap_err().status(),
            401
        );
        assert_eq!(format!("{:?}", Auth::Tokens(vec![[7; 32]])), "token");
    }
}
