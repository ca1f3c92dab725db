//! The function's own binary, with Lambda's runtime API in front of it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fogline::refusal::Refusal;
use fogline_cloud::store::Settings;
use fogline_stack::runtime::Lambda;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// A running function.
pub struct Running {
    lambda: Lambda,
    pub process: Child,
}

impl Running {
    /// Starts the function on a store, with a cache on disk if a folder is given.
    pub async fn start(store: &Settings, cache: Option<&Path>) -> Self {
        Self::start_with(store, cache, &[("FOGLINE_AUTH", "none")]).await
    }

    /// The same with these environment variables, which include the authentication.
    pub async fn start_with(
        store: &Settings,
        cache: Option<&Path>,
        variables: &[(&str, &str)],
    ) -> Self {
        let lambda = Lambda::start().await.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fogline-cloud"));
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_ENDPOINT_URL_S3", store.endpoint.as_deref().unwrap())
            .env("AWS_REGION", &store.region)
            .env("AWS_ACCESS_KEY_ID", &store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &store.secret_key)
            .env("FOGLINE_BUCKET", &store.bucket)
            // Preload nothing: the tests want to see the first request load.
            .env("FOGLINE_PRELOAD", "none/0.0.0")
            .envs(variables.iter().copied());
        if let Some(folder) = cache {
            command.env("FOGLINE_CACHE", folder);
        }
        let process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { lambda, process }
    }

    /// The function's answer to an event: a function URL's response, or the runtime's error.
    pub async fn invoke(&self, event: Value, time: Duration) -> Result<Value, Value> {
        let outcome = self.lambda.invoke(event.to_string().into(), time).await.unwrap();
        let value = |bytes: bytes::Bytes| serde_json::from_slice(&bytes).unwrap();
        outcome.map(value).map_err(value)
    }

    /// The status of the response to an event, and its error code if it is a refusal.
    pub async fn outcome(&self, event: Value) -> (u64, String) {
        self.outcome_within(event, Duration::from_secs(30)).await
    }

    pub async fn outcome_within(&self, event: Value, time: Duration) -> (u64, String) {
        let answer = self.invoke(event, time).await.unwrap();
        let status = answer["statusCode"].as_u64().unwrap();
        let refusal = serde_json::from_slice::<Refusal>(&body(&answer));
        (status, refusal.map(|refusal| refusal.error).unwrap_or_default())
    }

    /// Stops the function and returns its standard output.
    pub async fn end(mut self) -> String {
        self.process.start_kill().unwrap();
        let mut text = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }
}

/// The bytes of an answer's body.
pub fn body(answer: &Value) -> Vec<u8> {
    let text = answer["body"].as_str().unwrap_or_default();
    if answer["isBase64Encoded"] == json!(true) {
        BASE64.decode(text).unwrap()
    } else {
        text.into()
    }
}

/// The golden event of a request for inference, with this body.
pub fn infer(frame: &[u8]) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/infer.json")).unwrap();
    event["body"] = json!(BASE64.encode(frame));
    event["headers"]["content-length"] = json!(frame.len().to_string());
    event
}
