//! The spool of a run: samples that the cloud missed are kept, and settled later.

use std::path::{Path, PathBuf};

use fogline_edge::cloud::Client;
use fogline_edge::device::spool::{Balance, Name, Settled, Spool, SpoolError, settle};
use fogline_edge::session::{Answer, Session};
use serde::Serialize;

use crate::component::fault::{Fault, complain, hinted, json, say, shown};
use crate::component::transport::WasiHttp;

/// Options for the spool.
#[derive(clap::Args)]
pub struct Spooling {
    /// Folder in which to keep the feature maps of hard pictures that the cloud did not answer. The cloud is asked about them
    /// when it answers again, and at the end of the run. Each late answer is a line of its own. `fogline settle` asks about
    /// those that are left.
    #[arg(long = "spool", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Maximum size of the folder, in MiB; when it is full, the oldest feature maps are dropped.
    #[arg(long = "spool-mib", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    mib: u32,
}

impl Spooling {
    /// The spool, if the options name a folder, which is created if it does not exist.
    pub fn open(&self) -> Result<Option<Kept>, Fault> {
        let Some(folder) = &self.folder else { return Ok(None) };
        Ok(Some(Kept::of(Spool::create(folder, u64::from(self.mib) << 20)?)))
    }
}

/// How a late answer is printed: as JSON, or as a row with this width for the picture's name.
#[derive(Clone, Copy)]
pub enum Form {
    Json,
    Row(usize),
}

/// The spool of a run.
pub struct Kept {
    spool: Spool,
    /// Whether asking has stopped for this run, because the cloud refuses or does not answer.
    rests: bool,
    /// Whether dropped frames were reported.
    dropped: bool,
}

#[derive(Serialize)]
struct Sum {
    spool: Balance,
}

impl Kept {
    /// The state of a run with this spool.
    pub fn of(spool: Spool) -> Self {
        Self { spool, rests: false, dropped: false }
    }

    fn counts(&self) -> Balance {
        self.spool.counts()
    }

    /// Whether the cloud has answered every frame of this pair.
    pub fn is_settled(&self) -> bool {
        let Balance { left, foreign, dropped, damaged, gone, .. } = self.counts();
        left == foreign && dropped + damaged + gone == 0
    }

    /// Spools the question of a degraded answer, if the cloud may answer it later. Returns its name in the spool.
    pub fn keep(&mut self, path: &Path, answer: &Answer) -> Option<Name> {
        let question = answer.degraded.as_ref()?.question.as_ref()?;
        let kept = self.spool.keep(&path.display().to_string(), question);
        if self.spool.dropped() > 0 && !self.dropped {
            self.dropped = true;
            complain(&Fault::new(
                "spool_full",
                "the spool is full: the oldest frames are dropped from now on (raise --spool-mib)",
            ));
        }
        kept.map_err(|error| complain(&error.into())).ok()
    }

    /// Asks about the oldest `most` frames, prints the answers, and removes the frames. Returns whether there may be more.
    pub async fn settle(
        &mut self,
        session: &Session,
        cloud: &Client<WasiHttp>,
        most: usize,
        form: Form,
    ) -> Result<bool, Fault> {
        if self.rests {
            return Ok(false);
        }
        let (waiting, troubles) = self.spool.oldest(session, most);
        for trouble in troubles {
            complain(&trouble.into());
        }
        if waiting.is_empty() {
            return Ok(false);
        }
        match settle(session, cloud, waiting).await {
            Ok(settled) => {
                for one in settled {
                    print(&one, form)?;
                    if let Err(error) = self.spool.settled(one.name) {
                        complain(&error.into());
                    }
                }
                Ok(true)
            }
            Err(error) => {
                // A refusal would be repeated, but a cloud that is away may come back.
                self.rests = !error.may_pass();
                let left = self.counts().left;
                let message = format!("{error}: {left} frames stay in the spool");
                complain(&Fault::new(error.word(), message));
                Ok(false)
            }
        }
    }

    /// Reports frames of another pair, such as the one before a `pull`, and how to get their answers.
    pub fn tell_of_foreign(&self) {
        let foreign = self.counts().foreign;
        if foreign > 0 {
            let message = format!(
                "{foreign} frames are of another pair: settle with that pair's folder as --model, or after a rollback"
            );
            complain(&Fault::new("spool_foreign", message));
        }
    }

    /// Prints what became of all frames.
    pub fn sum(&self, form: Form) -> Result<(), Fault> {
        let counts = self.counts();
        let Balance { found, spooled, settled, dropped, damaged, gone, left, foreign, unwritten } =
            counts;
        match form {
            Form::Json => say(&json(&Sum { spool: counts })),
            Form::Row(_) => say(&format!(
                "\nspool: {found} found, {spooled} added; {settled} settled, {dropped} dropped, {damaged} damaged, \
                 {gone} gone, {left} left ({foreign} of another pair); {unwritten} could not be written"
            )),
        }
    }
}

fn print(settled: &Settled, form: Form) -> Result<(), Fault> {
    let Settled { picture, answer, name } = settled;
    match form {
        Form::Json => say(&json(settled)),
        Form::Row(width) => say(&format!(
            "{:<width$} {:<12} {:>9.1}%  {:<8} {:>7} {:>8} {:>9.1}  settled: {name}",
            shown(Path::new(picture)),
            answer.label,
            answer.confidence * 100.0,
            answer.origin,
            answer.bytes_sent,
            "",
            answer.cloud_ms
        )),
    }
}

impl From<SpoolError> for Fault {
    fn from(error: SpoolError) -> Self {
        let fault = match &error {
            SpoolError::Unreadable(_, why) | SpoolError::Unwritable(_, why) => {
                Self::new(error.word(), hinted(why))
            }
            _ => Self::new(error.word(), &error),
        };
        error.path().map_or(fault.clone(), |path| fault.of(path))
    }
}
