//! From pixels to an answer: the only path, in a browser, on a gateway and in tests.

use fogline::coding::Coder;
use fogline::manifest::Manifest;

use super::answer::Answer;
use super::draft::Draft;
use super::offload::Offload;
use super::pair::{Session, request};
use crate::clock;
use crate::cloud::{Asked, Client, CloudError, Transport};

impl Session {
    /// Classifies RGB bytes, row by row, of the model's input size. The edge runs at once. If no exit is sure, the returned
    /// future waits for the cloud, while the session is free for the next picture. If there is no cloud or it does not answer,
    /// the result is the best exit's answer, marked as degraded.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
    pub fn classify<'c, T: Transport>(
        &mut self,
        rgb: &[u8],
        cloud: Option<&'c Client<T>>,
    ) -> impl Future<Output = Answer> + use<'c, T> {
        self.classify_telling(rgb, cloud, &|_, _| {})
    }

    /// As [`Self::classify`]. Before it asks the cloud, it calls `asking` with the best exit's answer and the packed map that
    /// is sent.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
    pub fn classify_telling<'c, T: Transport>(
        &mut self,
        rgb: &[u8],
        cloud: Option<&'c Client<T>>,
        asking: &dyn Fn(&Answer, &[u8]),
    ) -> impl Future<Output = Answer> + use<'c, T> {
        let (draft, manifest) = (self.draft(rgb), self.manifest.clone());
        let coder = self.coder().cloned();
        if let (Some(_), Some(map)) = (cloud, draft.to_send()) {
            asking(draft.best(), map);
        }
        async move {
            let maps = draft.to_send().cloned().into_iter().collect();
            let (mut asked, request_id) = ask(&manifest, coder.as_deref(), maps, cloud).await;
            draft.conclude(&manifest, asked.pop(), request_id)
        }
    }

    /// As [`Self::classify`], with limits and audits. If `held` is set, a hard picture is not sent, for this reason. The
    /// future resolves at once if nothing is sent.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
    pub fn classify_within<'c, T: Transport>(
        &mut self,
        rgb: &[u8],
        cloud: Option<&'c Client<T>>,
        offload: &mut Offload,
        held: Option<CloudError>,
    ) -> impl Future<Output = Answer> + use<'c, T> {
        let chance = cloud.map_or(1.0, Client::fraction);
        let drafted = offload.draft(self, rgb, chance, held);
        let (manifest, coder) = (self.manifest.clone(), self.coder().cloned());
        async move {
            let maps = drafted.to_send().cloned().into_iter().collect();
            let (mut asked, request_id) = ask(&manifest, coder.as_deref(), maps, cloud).await;
            drafted.conclude(&manifest, asked.pop(), request_id)
        }
    }

    /// Classifies RGB bytes without a cloud.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
    pub fn classify_alone(&mut self, rgb: &[u8]) -> Answer {
        self.draft(rgb).conclude(
            &self.manifest,
            Some(Asked::not_asked(CloudError::NotConfigured)),
            [0; 16],
        )
    }

    /// Runs the edge on a picture and measures the time.
    pub(super) fn draft(&mut self, rgb: &[u8]) -> Draft {
        let began = clock::now();
        let pass = self.run_edge(rgb);
        Draft::of(self, pass, clock::now().saturating_sub(began).as_secs_f64() * 1e3)
    }
}

/// What comes of sending `maps` to the cloud in one request, which a frame must hold, and the request's id.
pub(super) async fn ask<T: Transport>(
    manifest: &Manifest,
    coder: Option<&Coder>,
    maps: Vec<Vec<u8>>,
    cloud: Option<&Client<T>>,
) -> (Vec<Asked>, [u8; 16]) {
    let Some(cloud) = cloud.filter(|_| !maps.is_empty()) else {
        let nobody = || Asked::not_asked(CloudError::NotConfigured);
        return (maps.iter().map(|_| nobody()).collect(), [0; 16]);
    };
    let request_id = cloud.new_id();
    let request = request(manifest, maps, request_id);
    (cloud.ask(&request, coder, manifest.classes.len()).await, request_id)
}
