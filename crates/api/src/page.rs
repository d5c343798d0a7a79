//! The web client, embedded in the binary; or a page that explains how to build it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use gateway::Language;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use crate::{ApiError, HttpState};

/// The output of `npm run build`; empty if the web client was not built.
#[derive(Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";

/// File names below this path contain a hash of their content, so that a cached file is never stale.
const HASHED: &str = "assets/";

/// The files of the web client, by path without the leading slash.
pub(crate) struct Page {
    files: HashMap<String, File>,
}

struct File {
    content_type: HeaderValue,
    cache_control: HeaderValue,
    plain: Variant,
    /// In the order of [`COMPRESSED`], smallest first.
    compressed: Vec<(&'static str, Variant)>,
}

struct Variant {
    bytes: Bytes,
    /// A strong entity tag, so each encoding has its own.
    etag: HeaderValue,
}

/// Endings of precompressed files, and their names in `Accept-Encoding`.
const COMPRESSED: [(&str, &str); 2] = [(".br", "br"), (".gz", "gzip")];

impl Page {
    pub(crate) fn embedded() -> Self {
        let files = Dist::iter().filter_map(|path| {
            let bytes = match Dist::get(&path)?.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            Some((path.into_owned(), bytes))
        });
        Self::of(files.collect())
    }

    fn of(mut found: HashMap<String, Bytes>) -> Self {
        if !found.contains_key(INDEX) {
            tracing::warn!("built without the web client; / explains how to build it");
            found = HashMap::from([(INDEX.to_owned(), Bytes::from(stand_in()))]);
        }
        let mut files = HashMap::new();
        for (path, bytes) in &found {
            if is_compressed_variant(path, &found) {
                continue;
            }
            let compressed = COMPRESSED.iter().filter_map(|(ending, encoding)| {
                Some((*encoding, Variant::of(found.get(&format!("{path}{ending}"))?.clone())))
            });
            let cache_control =
                if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
            let file = File {
                content_type: HeaderValue::from_static(content_type(path)),
                cache_control: HeaderValue::from_static(cache_control),
                plain: Variant::of(bytes.clone()),
                compressed: compressed.collect(),
            };
            files.insert(path.clone(), file);
        }
        Page { files }
    }

    fn respond(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let file =
            self.files.get(if path.is_empty() { INDEX } else { path }).ok_or_else(ApiError::not_found)?;
        if *method != Method::GET && *method != Method::HEAD {
            return Err(ApiError::method_not_allowed().with_headers(&[("allow", "GET, HEAD")]));
        }
        let compressed = file.compressed.iter().find(|(encoding, _)| accepts(headers, encoding));
        let (encoding, variant) =
            compressed.map_or((None, &file.plain), |(encoding, variant)| (Some(*encoding), variant));
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, file.cache_control.clone());
        fields.insert(header::ETAG, variant.etag.clone());
        if !file.compressed.is_empty() {
            fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if has_current(headers, &variant.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        fields.insert(header::CONTENT_TYPE, file.content_type.clone());
        if let Some(encoding) = encoding {
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        *response.body_mut() = Body::from(variant.bytes.clone());
        Ok(response)
    }
}

impl Variant {
    fn of(bytes: Bytes) -> Self {
        let hash = Sha256::digest(&bytes);
        let hex: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        // Hexadecimal digits in quotes are visible ASCII.
        let etag = HeaderValue::from_str(&format!("\"{hex}\"")).expect("an entity tag is visible ASCII");
        Variant { bytes, etag }
    }
}

/// Serves a path without a route: a file, or `not_found`.
pub(crate) async fn file(
    State(state): State<Arc<HttpState>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    state.page.respond(&method, uri.path(), &headers)
}

fn is_compressed_variant(path: &str, found: &HashMap<String, Bytes>) -> bool {
    COMPRESSED
        .iter()
        .any(|(ending, _)| path.strip_suffix(ending).is_some_and(|plain| found.contains_key(plain)))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether the client accepts this encoding, by name or by `*`, with a weight above 0 (RFC 9110, 12.5.3).
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let mut by_star = false;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            let wanted = weight.is_ok_and(|weight| weight > 0.0);
            match name.trim() {
                "*" => by_star = wanted,
                name if name.eq_ignore_ascii_case(encoding) => return wanted,
                _ => {}
            }
        }
    }
    by_star
}

/// Whether the client has the current version (RFC 9110, 13.1.2).
fn has_current(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let mut tags = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        // A compressing proxy makes the tag weak; this comparison ignores the difference.
        tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
    })
}

/// The page of a server that was built without the web client. It has no style sheet, because the content security policy permits
/// none in a page.
fn stand_in() -> String {
    let section = |language: Language| {
        format!(
            "<section lang=\"{}\">\n<h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n<pre><code>cargo xtask run</code></pre>\n</section>\n",
            language.tag(),
            language.stand_in_title(),
            language.stand_in_works(),
            language.stand_in_build()
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Teahouse 茶馆</title>\n<main>\n{}{}</main>\n</html>\n",
        section(Language::En),
        section(Language::Zh)
    )
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn page() -> Page {
        let files = [
            (INDEX, "<html>"),
            ("assets/app-1a2b.js", "plain"),
            ("assets/app-1a2b.js.br", "brotli"),
            ("assets/app-1a2b.js.gz", "gzip"),
            ("icon.svg", "<svg>"),
            ("notes.gz", "an archive, not a variant of another file"),
        ];
        Page::of(files.map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes()))).into())
    }

    fn get(path: &str, headers: &[(&'static str, &str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        page().respond(&Method::GET, path, &headers).unwrap_or_else(IntoResponse::into_response)
    }

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn smallest_accepted_encoding_is_sent() {
        let path = "/assets/app-1a2b.js";
        for (accepted, encoding, text) in [
            ("gzip, deflate, br, zstd", Some("br"), "brotli"),
            ("gzip", Some("gzip"), "gzip"),
            ("GZIP;q=0.5", Some("gzip"), "gzip"),
            ("*", Some("br"), "brotli"),
            ("br;q=0, *", Some("gzip"), "gzip"),
            ("br;q=0", None, "plain"),
            ("br;q=x", None, "plain"),
            ("brotli", None, "plain"),
            ("", None, "plain"),
        ] {
            let response = get(path, &[("accept-encoding", accepted)]);
            let found =
                response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), encoding, "{accepted}");
            assert_eq!(response.headers()["vary"], "accept-encoding");
            assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
            assert_eq!(body(response).await, text, "{accepted}");
        }
    }

    #[test]
    fn each_encoding_has_its_own_tag() {
        let tag =
            |accepted| get("/assets/app-1a2b.js", &[("accept-encoding", accepted)]).headers()["etag"].clone();
        assert_ne!(tag("br"), tag("gzip"));
        assert_ne!(tag("br"), tag(""));
    }

    #[test]
    fn current_file_is_not_sent_again() {
        let tag = get("/", &[]).headers()["etag"].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let response = get("/", &[("if-none-match", &known)]);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()["etag"], tag.as_str());
        }
        assert_eq!(get("/", &[("if-none-match", "\"x\"")]).status(), StatusCode::OK);
    }

    #[test]
    fn hashed_files_are_immutable_and_others_revalidated() {
        assert_eq!(
            get("/assets/app-1a2b.js", &[]).headers()["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(get("/", &[]).headers()["cache-control"], "no-cache");
        assert_eq!(get("/icon.svg", &[]).headers()["cache-control"], "no-cache");
    }

    #[test]
    fn unknown_path_is_not_found() {
        for path in
            ["/nope", "/assets/app-1a2b.js.br", "/../Cargo.toml", "//index.html", "/assets/", "/index.html/"]
        {
            assert_eq!(get(path, &[]).status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(get("/notes.gz", &[]).status(), StatusCode::OK);
        let rejected = page().respond(&Method::POST, "/", &HeaderMap::new()).unwrap_err().into_response();
        assert_eq!(rejected.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(rejected.headers()["allow"], "GET, HEAD");
    }

    #[tokio::test]
    async fn missing_web_client_page_explains_how_to_build_it() {
        let page = Page::of(HashMap::new());
        let response = page.respond(&Method::GET, "/", &HeaderMap::new()).unwrap();
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let text = body(response).await;
        for part in [
            "cargo xtask run",
            Language::En.stand_in_title(),
            Language::Zh.stand_in_title(),
            "lang=\"zh-Hans\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }
}
