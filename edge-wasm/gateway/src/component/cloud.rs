//! The cloud that finishes hard pictures, as the options name it.

use std::num::NonZeroU32;
use std::time::Duration;

use fogline_edge::cloud::Client;
use fogline_edge::session::Session;
use fogline_edge::session::batch;
use fogline_edge::session::offload;
use fogline_edge::session::quota::Quota;

use crate::component::auth::Auth;
use crate::component::fault::Fault;
use crate::component::transport::WasiHttp;

/// Options for the function, and for requests to it.
#[derive(clap::Args)]
pub struct Cloud {
    /// Base URL of the cloud function; frames are posted to URL/infer.
    #[arg(long = "cloud", value_name = "URL")]
    url: Option<String>,
    /// How long the cloud may take, including retries, before the best exit answers instead.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    deadline: Duration,
    /// Maximum number of hard pictures per request; fewer if a frame (1 MiB) does not hold as many.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// Maximum bytes of request bodies per second, including retries. Requests wait for those before them. A picture whose
    /// request would wait past its deadline is answered here, degraded with `over_bandwidth`.
    #[arg(long, value_name = "N")]
    max_bytes_per_second: Option<NonZeroU32>,
    #[command(flatten)]
    auth: Auth,
}

/// Options for the offload rate.
#[derive(clap::Args)]
pub struct Offload {
    /// Maximum share of pictures that go to the cloud, 0 to 1, of the latest 256. The last exit's threshold adapts, so that the
    /// most doubtful pictures go; the others are answered here, degraded with `over_quota`.
    #[arg(long, value_name = "RATE", value_parser = share)]
    max_offload: Option<f64>,
    /// Also send this share of the sure pictures to the cloud, 0 to 1, chosen at random, and count how often it disagrees. The exit's
    /// answer stands. Audits count against --max-offload and --max-bytes-per-second.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = share)]
    audit_rate: f64,
}

impl Offload {
    /// Whether there are audits.
    pub fn audits(&self) -> bool {
        self.audit_rate > 0.0
    }

    /// The limits and audits for this pair.
    ///
    /// # Errors
    /// If audits alone would use up the quota.
    pub fn of(&self, session: &Session) -> Result<offload::Offload, Fault> {
        if let Some(share) = self.max_offload.filter(|share| self.audit_rate >= *share)
            && self.audit_rate > 0.0
        {
            let why = format!(
                "--audit-rate {} leaves nothing of --max-offload {share} for hard pictures",
                self.audit_rate
            );
            return Err(Fault::new("audit_rate", why));
        }
        let quota = self.max_offload.map(|share| Quota::new(share, session.policy()));
        Ok(offload::Offload::default().auditing(self.audit_rate).within(quota))
    }
}

/// Parses a share, from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("'{text}' is not a number between 0 and 1"))
}

impl Cloud {
    /// The function's client, or `None` without `--cloud`.
    pub fn client(&self) -> Result<Option<Client<WasiHttp>>, Fault> {
        let Some(url) = &self.url else { return Ok(None) };
        let http = WasiHttp::new(url).map_err(|why| Fault::new("cloud_url", why))?;
        let proof = self.auth.proof(http.host())?;
        let client = Client::new(http.proving(proof)).within(self.deadline);
        Ok(Some(client.at_most(self.max_bytes_per_second)))
    }

    /// The deadline of a request.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The maximum number of pictures per request.
    pub fn batch(&self) -> usize {
        self.batch.into()
    }

    /// The maximum number of feature maps in a request of spooled samples.
    pub fn most(&self, session: &Session) -> usize {
        batch::most(session, self.batch())
    }
}

/// What happens to hard pictures now.
pub fn state(cloud: Option<&Client<WasiHttp>>) -> &'static str {
    match cloud {
        None => "not_configured",
        Some(cloud) if cloud.is_left_alone() => "left_alone",
        Some(_) => "asked",
    }
}

/// Parses an option in seconds, from 0.001 to 3600.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of seconds"))?;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err(format!("'{text}' is not between 0.001 and 3600 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}
