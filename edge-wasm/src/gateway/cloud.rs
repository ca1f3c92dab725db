//! The cloud that finishes hard pictures, as the command line names it.

use std::time::Duration;

use fogline_edge::batch;
use fogline_edge::cloud::Client;
use fogline_edge::session::Session;

use crate::auth::Auth;
use crate::fault::Fault;
use crate::transport::WasiHttp;

/// Which function, and how it is asked.
#[derive(clap::Args)]
pub struct Cloud {
    /// Base URL of the cloud function; frames are posted to URL/infer.
    #[arg(long = "cloud", value_name = "URL")]
    url: Option<String>,
    /// How long the cloud may take, tries included, before the best exit answers in its place.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    deadline: Duration,
    /// How many hard pictures ask the cloud in one request; fewer where a frame, 1 MiB, holds fewer.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    #[command(flatten)]
    auth: Auth,
}

impl Cloud {
    /// The function's client, if one is named.
    pub fn client(&self) -> Result<Option<Client<WasiHttp>>, Fault> {
        let Some(url) = &self.url else { return Ok(None) };
        let http = WasiHttp::new(url).map_err(|why| Fault::new("cloud_url", why))?;
        let proof = self.auth.proof(http.host())?;
        Ok(Some(Client::new(http.proving(proof)).within(self.deadline)))
    }

    /// Pictures in a request.
    pub fn batch(&self) -> usize {
        self.batch.into()
    }

    /// Feature maps in a request of nothing else.
    pub fn most(&self, session: &Session) -> usize {
        batch::most(session, self.batch())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err(format!("'{text}' is not between 0.001 and 3600 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}
