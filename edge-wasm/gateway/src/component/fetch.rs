//! Downloads of limited size.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use wstd::future::FutureExt;
use wstd::http::{Body, Client, HeaderValue, Request, Response, Uri};

use crate::component::fault::{Fault, first_line, shown_url};
use crate::component::transport::{checked, why};

/// Where the files of a pair are.
pub struct Place {
    /// The URL of `manifest.json`.
    pub manifest: Uri,
    /// The URL of `edge.fog`, in the same folder.
    pub fog: Uri,
}

impl Place {
    /// The place given by the URL of its manifest or of its folder.
    pub fn of(url: &str) -> Result<Self, Fault> {
        let is_manifest =
            |file: &str| Path::new(file).extension().is_some_and(|json| json == "json");
        let parts = url.rsplit_once('/').filter(|(_, file)| is_manifest(file));
        let (folder, manifest) = parts.unwrap_or((url.trim_end_matches('/'), "manifest.json"));
        let at = |file: &str| {
            checked(url, &format!("{folder}/{file}")).map_err(|why| Fault::new("pull_url", why))
        };
        Ok(Self { manifest: at(manifest)?, fog: at("edge.fog")? })
    }
}

/// Runs `fetching` with a time limit.
pub async fn within<T>(
    limit: Duration,
    fetching: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = || {
        let message = format!("not fetched within {} seconds (--time-limit)", limit.as_secs_f64());
        Fault::new("pull_late", message)
    };
    fetching.timeout(wstd::time::Duration::from(limit)).await.unwrap_or_else(|_| Err(late()))
}

/// What a download is for, which its error codes begin with.
#[derive(Clone, Copy)]
pub enum Purpose {
    Pull,
    Camera,
}

impl Purpose {
    /// An error about `url`.
    fn fault(self, what: &str, url: &Uri, why: &str) -> Fault {
        let word = match self {
            Self::Pull => "pull",
            Self::Camera => "camera",
        };
        let url = shown_url(&url.to_string());
        Fault::new(&format!("{word}_{what}"), format!("{url}: {why}"))
    }
}

/// Downloads a file of at most `most` bytes. There are no retries: scheduled pulls simply run again.
pub async fn get(url: &Uri, most: u64) -> Result<Vec<u8>, Fault> {
    body(url, open(url, None, Purpose::Pull).await?, most, Purpose::Pull).await
}

/// The head of a successful response.
pub async fn open(
    url: &Uri,
    login: Option<&HeaderValue>,
    purpose: Purpose,
) -> Result<Response<Body>, Fault> {
    let broken = |what: String| purpose.fault("unreachable", url, &what);
    // An empty body would still be written, perhaps to a stream that wasmtime has closed: send none.
    let nothing = Body::from_http_body(Empty::<&'static [u8]>::new());
    let mut request = Request::get(url);
    if let Some(login) = login {
        request = request.header("authorization", login);
    }
    let request = request.body(nothing).map_err(|error| broken(error.to_string()))?;
    let response = Client::new().send(request).await.map_err(|error| broken(why(&error)))?;
    let status = response.status();
    if !status.is_success() {
        let elsewhere = response.headers().get("location").and_then(|to| to.to_str().ok());
        let elsewhere = elsewhere.filter(|_| status.is_redirection());
        // Redirects are not followed: they could silently fetch a gateway's model from another host.
        let elsewhere = elsewhere.map_or(String::new(), |to| {
            format!(", not following its redirect to {}", to.escape_debug())
        });
        let wants = response.headers().get("www-authenticate").and_then(|how| how.to_str().ok());
        let wants = wants.filter(|_| matches!(purpose, Purpose::Camera));
        let wants = wants.and_then(|how| how.split(' ').next()).map_or(String::new(), |how| {
            let how = how.escape_debug();
            match login {
                Some(_) if how.to_string().eq_ignore_ascii_case("basic") => {
                    ", it refused the user or the password".to_owned()
                }
                _ => format!(
                    ", it wants a login by {how} (we have Basic: `user` and `password-file`)"
                ),
            }
        });
        let why = format!("status {}{elsewhere}{wants}", status.as_u16());
        return Err(purpose.fault("refused", url, &why));
    }
    Ok(response)
}

/// The body of a response, of at most `most` bytes.
pub async fn body(
    url: &Uri,
    response: Response<Body>,
    most: u64,
    purpose: Purpose,
) -> Result<Vec<u8>, Fault> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let body = Limited::new(response.into_body().into_boxed_body(), limit).collect().await;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => purpose.fault("too_large", url, &format!("larger than {most} bytes")),
        Err(error) => purpose.fault("unreachable", url, &first_line(&error)),
    })?;
    Ok(body.to_bytes().to_vec())
}
