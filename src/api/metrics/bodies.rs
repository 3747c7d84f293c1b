//! The bodies of `/metrics`: made once for all who ask at about the same time, and few of them kept for those who read
//! slowly. A thousand services have four megabytes of text, so a body for each reader would be the memory of this host.

use std::io::{self, Write};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::pieces::Shared;

/// For how long a body that is being read is given to others, too.
const FRESH: Duration = Duration::from_secs(1);
/// Bytes of bodies that are being read, unless [`MIN_BODIES`] have more. The oldest is taken back from its readers.
const MAX_BYTES: usize = 64 << 20;
/// So many are always kept.
const MIN_BODIES: usize = 2;
/// Bodies that are being read, at most.
const MAX_BODIES: usize = 16;

/// The bodies that somebody reads, the oldest first.
#[derive(Clone, Default)]
pub(in super::super) struct Bodies(Arc<Mutex<Vec<Made>>>);

struct Made {
    at: Instant,
    form: Form,
    body: Weak<Shared>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Gzip,
}

impl Form {
    /// What a client takes (RFC 9110 section 12.5.3).
    pub(super) fn accepted(headers: &HeaderMap) -> Form {
        let accepts =
            headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
        let mut codings = accepts.flat_map(|value| value.split(','));
        let gzip = codings.any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
        });
        if gzip { Form::Gzip } else { Form::Plain }
    }

    /// The text in this form.
    pub(super) fn of(self, text: String) -> io::Result<Vec<u8>> {
        match self {
            Form::Plain => Ok(text.into_bytes()),
            Form::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
                gzip.write_all(text.as_bytes())?;
                gzip.finish()
            }
        }
    }
}

impl Bodies {
    /// A body of this form: the one that others read, if it is fresh, or what `make` makes. Only one is made at a time.
    pub(super) async fn get<F: Future<Output = io::Result<Vec<u8>>>>(
        &self,
        form: Form,
        make: impl FnOnce() -> F,
    ) -> io::Result<Arc<Shared>> {
        let mut bodies = self.0.lock().await;
        bodies.retain(|made| made.body.strong_count() > 0);
        let fresh = bodies.iter().rev().find(|made| made.form == form && made.at.elapsed() < FRESH);
        if let Some(body) = fresh.and_then(|made| made.body.upgrade()) {
            return Ok(body);
        }
        let body = Shared::new(make().await?);
        bodies.push(Made { at: Instant::now(), form, body: Arc::downgrade(&body) });
        make_room(&mut bodies);
        Ok(body)
    }
}

/// Takes the oldest ones back until the rest is within its bounds.
fn make_room(bodies: &mut Vec<Made>) {
    let len = |made: &Made| made.body.upgrade().map_or(0, |body| body.len());
    while bodies.len() > MIN_BODIES
        && (bodies.len() > MAX_BODIES || bodies.iter().map(len).sum::<usize>() > MAX_BYTES)
    {
        if let Some(body) = bodies.remove(0).body.upgrade() {
            body.take_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use axum::body::to_bytes;
    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;

    use super::*;

    /// A second goes by.
    async fn age(bodies: &Bodies) {
        for made in &mut *bodies.0.lock().await {
            made.at = made.at.checked_sub(FRESH).unwrap();
        }
    }

    #[tokio::test]
    async fn readers_share_a_body_and_it_is_made_once() {
        let (bodies, made) = (Bodies::default(), AtomicUsize::new(0));
        let get = async |form| {
            let make = async || {
                made.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
                Ok(vec![b'x'; 10])
            };
            bodies.get(form, make).await.unwrap()
        };
        let (first, second) = tokio::join!(get(Form::Plain), get(Form::Plain));
        assert!(Arc::ptr_eq(&first, &second));
        let gzip = get(Form::Gzip).await;
        assert_eq!(made.load(Relaxed), 2);
        age(&bodies).await;
        let later = get(Form::Plain).await;
        assert!(!Arc::ptr_eq(&first, &later));
        // Once nobody reads them nothing is kept.
        drop((first, second, gzip, later));
        drop(get(Form::Plain).await);
        assert_eq!((made.load(Relaxed), bodies.0.lock().await.len()), (4, 1));
    }

    #[tokio::test]
    async fn slow_readers_hold_so_much_memory_and_no_more() {
        let bodies = Bodies::default();
        let mut readers = Vec::new();
        for _ in 0..20 {
            let body = bodies.get(Form::Plain, async || Ok(vec![0; MAX_BYTES / 4])).await.unwrap();
            readers.push(body.body());
            age(&bodies).await;
        }
        let mut whole = Vec::new();
        for reader in readers {
            whole.push(to_bytes(reader, usize::MAX).await.is_ok());
        }
        assert_eq!(whole.iter().filter(|whole| **whole).count(), 4);
        assert!(whole.ends_with(&[true; 4]));
    }

    #[test]
    fn gzip_is_the_same_text_and_small() {
        let text = "detour_check_up{probe=\"web\"} 1\n".repeat(1_000);
        let gzip = Form::Gzip.of(text.clone()).unwrap();
        let mut back = String::new();
        GzDecoder::new(&gzip[..]).read_to_string(&mut back).unwrap();
        assert!(back == text && gzip.len() < text.len() / 20);
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let check = |accepts: &'static str, want| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
            assert_eq!(Form::accepted(&headers), want, "{accepts}");
        };
        check("gzip", Form::Gzip);
        check("deflate, GZIP;q=0.5, br", Form::Gzip);
        check("gzip; q=0", Form::Plain);
        check("identity", Form::Plain);
        assert_eq!(Form::accepted(&HeaderMap::new()), Form::Plain);
    }
}
