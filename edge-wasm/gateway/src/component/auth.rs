//! Authentication to the cloud: none, a bearer token, or AWS keys.

use std::env;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fogline::frame::MEDIA_TYPE;
use fogline_gateway::sigv4::{self, Signer, Unsigned};
use wstd::http::{HeaderValue, Uri};

use crate::component::fault::Fault;
use crate::component::pair;

/// The variable with a bearer token. It is no option, because lists of processes show options.
pub const TOKEN: &str = "FOGLINE_TOKEN";

/// How to authenticate to the cloud.
#[derive(clap::Args)]
pub struct Auth {
    /// File with a bearer token. Without it, the variable FOGLINE_TOKEN is used if set (`wasmtime run --env FOGLINE_TOKEN`).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Sign requests to a function URL of auth type AWS_IAM, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary
    /// keys, AWS_SESSION_TOKEN (pass each with `wasmtime run --env`). The region is the URL's, or else AWS_REGION.
    #[arg(long)]
    iam: bool,
}

/// The credentials to send. They implement neither `Debug` nor `Display`, so that they are never printed.
pub enum Proof {
    Nothing,
    Token(HeaderValue),
    Keys(Signer),
}

impl Auth {
    /// The credentials for a function on this host.
    pub fn proof(&self, host: &str) -> Result<Proof, Fault> {
        // Either may come from the environment or the file, which clap's conflict check would miss.
        if self.iam && self.token_file.is_some() {
            let both = "--token-file and --iam are both set: remove one, or pass --iam=false";
            return Err(Fault::new("auth_conflict", both));
        }
        if self.iam {
            return keys(host).map(Proof::Keys);
        }
        let token = match &self.token_file {
            Some(path) => {
                let bytes = pair::read(path).map_err(|fault| fault.of(path))?;
                String::from_utf8(bytes).map_err(|_| no_token())?
            }
            None => match env::var(TOKEN) {
                Ok(token) if !token.is_empty() => token,
                _ => return Ok(Proof::Nothing),
            },
        };
        let token = token.trim();
        if token.is_empty() || token.contains(|c: char| !c.is_ascii_graphic()) {
            return Err(no_token());
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(Proof::Token(value))
    }
}

/// The error for an invalid token, whose text stays secret.
fn no_token() -> Fault {
    Fault::new("token_invalid", "the token must be one word of visible ASCII characters")
}

/// The AWS keys in the environment, and the region of a function on this host.
///
/// # Errors
/// If a variable is missing.
fn keys(host: &str) -> Result<Signer, Fault> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let needed = |name: &str| {
        let hint = format!("--iam needs {name} (wasmtime run --env {name})");
        variable(name).ok_or_else(|| Fault::new("keys_missing", hint))
    };
    let region = match sigv4::region(host) {
        Some(region) => region.to_owned(),
        None => needed("AWS_REGION")?,
    };
    Ok(Signer {
        access_key: needed("AWS_ACCESS_KEY_ID")?,
        secret_key: needed("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN"),
        region,
        service: "lambda".to_owned(),
    })
}

impl Proof {
    /// The headers that authenticate a POST of `body` to `url`.
    pub fn headers(&self, url: &Uri, body: &[u8]) -> Vec<(&'static str, HeaderValue)> {
        match self {
            Self::Nothing => vec![],
            Self::Token(value) => vec![("authorization", value.clone())],
            Self::Keys(signer) => {
                let host = url.authority().map_or("", |authority| authority.as_str());
                let headers = [("content-type", MEDIA_TYPE), ("host", host)];
                let request =
                    Unsigned { method: "POST", path: url.path(), headers: &headers, body };
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let signed = signer.sign(request, now.as_secs()).into_iter();
                // Keys that do not fit a header are invalid, and AWS refuses the request without them.
                signed.filter_map(|(name, value)| Some((name, value.try_into().ok()?))).collect()
            }
        }
    }
}
