//! Who asks the cloud: nobody in particular, whoever holds a token, or whoever holds AWS keys.

use std::env;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fogline::frame::MEDIA_TYPE;
use fogline_gateway::sigv4::{self, Signer, Unsigned};
use wstd::http::{HeaderValue, Uri};

use crate::component::fault::Fault;
use crate::component::pair;

/// The variable with a bearer token, which is no option: whoever lists processes would see it.
pub const TOKEN: &str = "FOGLINE_TOKEN";

/// How the cloud knows who asks.
#[derive(clap::Args)]
pub struct Auth {
    /// File with a bearer token; without it, FOGLINE_TOKEN where that is set (`wasmtime run --env FOGLINE_TOKEN`).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Sign for a function URL of auth type AWS_IAM, by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where keys are
    /// lent, AWS_SESSION_TOKEN (`wasmtime run --env …` each); the region is the URL's, else AWS_REGION.
    #[arg(long)]
    iam: bool,
}

/// What is shown to the cloud. It has no text: it is never printed.
pub enum Proof {
    Nothing,
    Token(HeaderValue),
    Keys(Signer),
}

impl Auth {
    /// The proof for a function on this host.
    pub fn proof(&self, host: &str) -> Result<Proof, Fault> {
        // Either may come from the environment or the configuration: clap would not see all of it.
        if self.iam && self.token_file.is_some() {
            let both =
                "a token file and iam are both set: pass --iam=false, or leave the token file out";
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

/// Says nothing of what was there in its place.
fn no_token() -> Fault {
    Fault::new("token_invalid", "the token is not one word of visible ASCII characters")
}

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
    /// The headers that a post of `body` to `url` needs beside its own.
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
                // Keys that are no header's text are no keys: AWS refuses what goes without them.
                signed.filter_map(|(name, value)| Some((name, value.try_into().ok()?))).collect()
            }
        }
    }
}
