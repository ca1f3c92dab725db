//! The cloud that finishes hard pictures, as the command line names it.

use std::num::NonZeroU32;
use std::time::Duration;

use fogline_edge::cloud::Client;
use fogline_edge::session::Session;
use fogline_edge::session::batch;
use fogline_edge::session::quota::Quota;

use crate::component::auth::Auth;
use crate::component::fault::Fault;
use crate::component::transport::WasiHttp;

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
    /// The most bytes of bodies a second, tries included. Questions wait for those before them; one that would wait beyond
    /// its deadline is answered here, degraded by `over_bandwidth`.
    #[arg(long, value_name = "N")]
    max_bytes_per_second: Option<NonZeroU32>,
    #[command(flatten)]
    auth: Auth,
}

/// How much goes there.
#[derive(clap::Args)]
pub struct Offload {
    /// The largest share of pictures, 0 to 1, that goes to the cloud, of the latest 256. The last exit's threshold follows
    /// the pictures, so that the most doubtful ones go; the others are answered here, degraded by `over_quota`.
    #[arg(long, value_name = "RATE", value_parser = share)]
    max_offload: Option<f64>,
}

impl Offload {
    /// The bound, if there is one, on what this pair sends.
    pub fn quota(&self, session: &Session) -> Option<Quota> {
        self.max_offload.map(|share| Quota::new(share, session.policy()))
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("'{text}' is not a number between 0 and 1"))
}

impl Cloud {
    /// The function's client, if one is named.
    pub fn client(&self) -> Result<Option<Client<WasiHttp>>, Fault> {
        let Some(url) = &self.url else { return Ok(None) };
        let http = WasiHttp::new(url).map_err(|why| Fault::new("cloud_url", why))?;
        let proof = self.auth.proof(http.host())?;
        let client = Client::new(http.proving(proof)).within(self.deadline);
        Ok(Some(client.at_most(self.max_bytes_per_second)))
    }

    /// How long a question may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
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

/// A number of seconds, as options give them.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err(format!("'{text}' is not between 0.001 and 3600 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}
