//! AWS Signature Version 4, for function URLs of auth type AWS_IAM.
//!
//! It is written here because it takes only a page on top of the SHA-256 that is already a dependency, whereas
//! `aws-sigv4` brings a runtime. It is tested against AWS's published requests and signatures.

use sha2::{Digest, Sha256};

/// Credentials, and the service that requests are signed for.
#[derive(Clone)]
pub struct Signer {
    /// The id of the access key, which is not secret.
    pub access_key: String,
    /// The secret that belongs to the access key.
    pub secret_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// The region of the service, such as `eu-central-1`.
    pub region: String,
    /// The name of the service: `lambda` for function URLs.
    pub service: String,
}

/// A request to sign, as it will be sent.
#[derive(Clone, Copy)]
pub struct Unsigned<'a> {
    /// The method in upper case.
    pub method: &'a str,
    /// The path as in the request line.
    pub path: &'a str,
    /// Further headers to sign, with names in lower case; they must include `host`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body of the request.
    pub body: &'a [u8],
}

impl Signer {
    /// The headers to add to `request` so that it is signed at time `unix`, in seconds.
    pub fn sign(&self, request: Unsigned, unix: u64) -> Vec<(&'static str, String)> {
        let date = date(unix);
        let mut added = vec![("x-amz-date", date.clone())];
        if let Some(token) = &self.session_token {
            added.push(("x-amz-security-token", token.clone()));
        }
        let own = added.iter().map(|(name, value)| (*name, value.as_str()));
        let mut headers: Vec<_> = request.headers.iter().copied().chain(own).collect();
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines = headers.iter().map(|(name, value)| {
            let words: Vec<&str> = value.split_ascii_whitespace().collect();
            format!("{name}:{}\n", words.join(" "))
        });
        let (method, path, lines) =
            (request.method, escaped(request.path), lines.collect::<String>());
        let body = hex::encode(Sha256::digest(request.body));
        let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{body}");
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let digest = hex::encode(Sha256::digest(canonical));
        let signature =
            self.key(&date[..8], &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"));
        let (id, signature) = (&self.access_key, hex::encode(signature));
        added.push((
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
            ),
        ));
        added
    }

    /// The HMAC of `text` under the signing key of this day, region and service.
    fn key(&self, day: &str, text: &str) -> [u8; 32] {
        let first = hmac(format!("AWS4{}", self.secret_key).as_bytes(), day.as_bytes());
        [&self.region, &self.service, "aws4_request", text]
            .iter()
            .fold(first, |key, part| hmac(&key, part.as_bytes()))
    }
}

/// The region in a function URL's host, `ID.lambda-url.REGION.on.aws`, or `None` for other hosts.
pub fn region(host: &str) -> Option<&str> {
    let (_, rest) = host.split_once(".lambda-url.")?;
    rest.strip_suffix(".on.aws").filter(|region| !region.contains('.'))
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// The path with all characters escaped except slashes and RFC 3986's unreserved ones. Escapes in it are escaped again.
fn escaped(path: &str) -> String {
    let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
    let mut escaped = String::new();
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    escaped
}

/// The time `unix`, in seconds, as `YYYYMMDDThhmmssZ`.
fn date(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Years are counted from March, so that leap days come last; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30, 12:36:00: the time at which AWS's test suite signs.
    const THEN: u64 = 1_440_938_160;

    /// The signature with the keys of AWS's test suite.
    fn signature(request: Unsigned) -> String {
        let signer = Signer {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            region: "us-east-1".into(),
            service: "service".into(),
        };
        let headers = signer.sign(request, THEN);
        assert_eq!(headers[0], ("x-amz-date", "20150830T123600Z".into()));
        let (name, value) = headers.last().unwrap();
        assert_eq!(*name, "authorization");
        let begins =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        assert!(value.starts_with(begins), "{value}");
        value.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    const HOST: (&str, &str) = ("host", "example.amazonaws.com");

    #[test]
    fn aws_own_requests_have_aws_own_signatures() {
        let of = |method, path| signature(Unsigned { method, path, headers: &[HOST], body: b"" });
        for (name, method, path, expected) in [
            (
                "get-vanilla",
                "GET",
                "/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                "/",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "get-utf8",
                "GET",
                "/\u{1234}",
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                "get-space",
                "GET",
                "/example space/",
                "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            ),
        ] {
            assert_eq!(of(method, path), expected, "{name}");
        }
    }

    #[test]
    fn headers_and_bodies_are_signed_too() {
        let trimmed = [HOST, ("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
        assert_eq!(
            signature(Unsigned { method: "GET", path: "/", headers: &trimmed, body: b"" }),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        );
        let form = [HOST, ("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            signature(Unsigned {
                method: "POST",
                path: "/",
                headers: &form,
                body: b"Param1=value1"
            }),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let long_key =
            hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            hex::encode(long_key),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_lent_key_names_its_token_and_signs_it() {
        let signer = Signer {
            access_key: "A".into(),
            secret_key: "b".into(),
            session_token: Some("lent".into()),
            region: "eu-north-1".into(),
            service: "lambda".into(),
        };
        let headers = signer
            .sign(Unsigned { method: "POST", path: "/infer", headers: &[HOST], body: b"x" }, THEN);
        assert_eq!(headers[1], ("x-amz-security-token", "lent".into()));
        assert!(headers[2].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
        assert!(!headers.iter().any(|(_, value)| value.contains("AWS4b")));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(date(unix), expected);
        }
    }

    #[test]
    fn a_function_url_names_its_region() {
        assert_eq!(region("abc.lambda-url.eu-central-1.on.aws"), Some("eu-central-1"));
        for host in ["localhost", "abc.lambda-url.on.aws", "a.lambda-url.x.evil.on.aws", "a.on.aws"]
        {
            assert_eq!(region(host), None, "{host}");
        }
    }
}
