//! The pictures in a request's body.

use std::convert::Infallible;

use fogline::frame::MAX_BATCH;
use fogline::refusal::{MALFORMED, TOO_LARGE};
use http_body_util::{BodyDataStream, Full};
use multer::Multipart;
use multer::bytes::Bytes;

use super::http::UNSUPPORTED_MEDIA_TYPE;
use crate::component::fault::Fault;

/// The length at which a file's name is cut, in characters.
const LONGEST_NAME: usize = 255;

/// A picture as it was received.
pub enum Picture {
    /// A JPEG, PNG or WebP file.
    File(Bytes),
    /// RGB bytes of the pair's input size.
    Pixels(Bytes),
}

/// Pictures with their names: the file names, or numbers from 1.
pub async fn pictures(
    content_type: &str,
    body: Vec<u8>,
    size: u32,
) -> Result<Vec<(String, Picture)>, Fault> {
    let body = Bytes::from(body);
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let pictures = match essence.as_str() {
        "multipart/form-data" => parts(content_type, body).await?,
        "application/octet-stream" => pixels(&body, size)?,
        file if file.starts_with("image/") => vec![("1".to_owned(), Picture::File(body))],
        _ => {
            let taken =
                "image/png, image/jpeg, image/webp, multipart/form-data, application/octet-stream";
            let message = format!("content type '{essence}' is not supported; use {taken}");
            return Err(Fault::new(UNSUPPORTED_MEDIA_TYPE, message));
        }
    };
    match pictures.len() {
        0 => Err(Fault::new(MALFORMED, "the body contains no picture")),
        1..=MAX_BATCH => Ok(pictures),
        _ => Err(too_many()),
    }
}

fn too_many() -> Fault {
    Fault::new(TOO_LARGE, format!("a request may have at most {MAX_BATCH} pictures"))
}

fn pixels(body: &Bytes, size: u32) -> Result<Vec<(String, Picture)>, Fault> {
    let each = size as usize * size as usize * 3;
    if !body.len().is_multiple_of(each) {
        let message = format!(
            "{} bytes, but every picture has {each}: {size}x{size} pixels of RGB",
            body.len()
        );
        return Err(Fault::new(MALFORMED, message));
    }
    let picture = |at: usize| {
        let pixels = body.slice(at * each..(at + 1) * each);
        ((at + 1).to_string(), Picture::Pixels(pixels))
    };
    // One more than allowed is enough to see that there are too many.
    Ok((0..(body.len() / each).min(MAX_BATCH + 1)).map(picture).collect())
}

/// The boundary of a form. Some clients omit the quotes that `=`, `:`, `/` and `?` need, which type parsers then reject.
fn boundary(content_type: &str) -> Option<&str> {
    const NAME: &str = "boundary=";
    let mut parameters = content_type.split(';').skip(1).map(str::trim_start);
    let named = |parameter: &&str| {
        parameter.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    let boundary = parameters.find(named)?[NAME.len()..].trim_end();
    let quoted = boundary.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.or(Some(boundary)).filter(|boundary| (1..=70).contains(&boundary.len()))
}

/// The pictures of a form: every part is one, whatever its field's name.
async fn parts(content_type: &str, body: Bytes) -> Result<Vec<(String, Picture)>, Fault> {
    let malformed = |error: multer::Error| Fault::new(MALFORMED, error);
    let boundary = boundary(content_type).ok_or_else(|| {
        Fault::new(MALFORMED, "the content type has no boundary of 1 to 70 characters")
    })?;
    let stream = BodyDataStream::new(Full::<Bytes>::new(body));
    let mut multipart = Multipart::new::<_, Bytes, Infallible, _>(stream, boundary);
    let mut pictures = vec![];
    while let Some(part) = multipart.next_field().await.map_err(malformed)? {
        if pictures.len() == MAX_BATCH {
            return Err(too_many());
        }
        // The answer repeats the name.
        let name = part.file_name().map(|name| name.chars().take(LONGEST_NAME).collect());
        let name = name.unwrap_or_else(|| (pictures.len() + 1).to_string());
        let file = part.bytes().await.map_err(malformed)?;
        pictures.push((name, Picture::File(file)));
    }
    Ok(pictures)
}
