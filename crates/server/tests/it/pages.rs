//! The web page, health checks and metrics over HTTP.

use client::{Response, http};
use serde_json::json;

use crate::client_ext::ClientExt;
use crate::server::TestServer;

fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    http(server.addr, "GET", path, headers, b"").unwrap()
}

#[test]
fn health_readiness_and_metrics_reflect_the_state() {
    let server = TestServer::open();
    assert_eq!((server.get("/healthz").status, server.get("/healthz").text().as_str()), (200, "ok"));
    assert_eq!(server.get("/readyz").status, 200);
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    for number in 0..5 {
        let seq = li.send_body(room, &number.to_string()).unwrap();
        ann.event_where(|event| event.seq == seq).unwrap();
        li.event_where(|event| event.seq == seq).unwrap();
    }
    li.rejected_with(json!({"type":"join","room":"a b"}));
    for (name, value) in [
        ("teahouse_connections", 2.0),
        ("teahouse_messages_total", 5.0),
        ("teahouse_gaps_total", 0.0),
        (r#"teahouse_errors_total{code="invalid_name"}"#, 1.0),
        (r#"teahouse_errors_total{code="storage_full"}"#, 0.0),
    ] {
        assert_eq!(server.metric(name), value, "{name}");
    }
    assert!(server.metric("teahouse_open_rooms") >= 1.0);
    // Five messages to two users, and Ann's join to Li.
    server.until_metric("teahouse_deliveries_total", |delivered| delivered == 11.0);
    assert!(server.metric("teahouse_commit_duration_seconds_count") >= 5.0);
    assert!(server.metric("teahouse_sent_bytes_total") > 1000.0);
    let answer = server.get("/metrics");
    assert!(answer.header("content-type").unwrap().contains("text"), "{answer:?}");
    assert!(answer.text().contains("# TYPE teahouse_messages counter"));
    assert!(!answer.text().contains("Li") && !answer.text().contains(&token));
    drop((li, ann));
    server.until_metric("teahouse_connections", |open| open == 0.0);
    server.until_metric("teahouse_open_rooms", |rooms| rooms == 0.0);
}

#[test]
fn page_has_a_strict_policy_and_an_etag() {
    let server = TestServer::open();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let built = page.text().contains("<script");
    assert!(
        built || page.text().contains("cargo xtask run"),
        "the page, or how to build it: {}",
        page.text()
    );
    assert!(built || (page.text().contains("lang=\"zh-Hans\"") && page.text().contains("lang=\"en\"")));
    let tag = page.header("etag").unwrap();
    let cached = get(&server, "/", &[("If-None-Match", tag)]);
    assert_eq!((cached.status, cached.body.len(), cached.header("etag")), (304, 0, Some(tag)));
    assert_eq!(get(&server, "/", &[("If-None-Match", "\"x\"")]).status, 200);
    let head = http(server.addr, "HEAD", "/", &[], b"").unwrap();
    assert_eq!((head.status, head.header("etag")), (200, Some(tag)));

    let mut addresses = vec!["/".to_owned()];
    // Every path that the page refers to.
    for part in page.text().split('"').filter(|part| part.starts_with('/') && part.len() > 1) {
        assert_eq!(server.get(part).status, 200, "{part}");
        addresses.push(part.to_owned());
    }
    assert!(!built || addresses.iter().any(|path| path.ends_with(".js")), "{addresses:?}");
    for path in addresses {
        for answer in [server.get(&path), get(&server, &path, &[("Accept-Encoding", "gzip, br")])] {
            let policy = answer.header("content-security-policy").unwrap();
            for part in
                ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
            {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let kept = answer.header("cache-control").unwrap();
            assert_eq!(kept.contains("immutable"), path.starts_with("/assets/"), "{path}: {kept}");
        }
        if built && path.ends_with(".js") {
            let plain = server.get(&path);
            for (accepted, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip")] {
                let packed = get(&server, &path, &[("Accept-Encoding", accepted)]);
                assert_eq!(packed.header("content-encoding"), Some(encoding), "{path}");
                assert_eq!(packed.header("vary"), Some("accept-encoding"));
                assert!(packed.body.len() < plain.body.len());
                assert_ne!(packed.header("etag"), plain.header("etag"), "each encoding has its own tag");
                assert_eq!(packed.header("content-type"), plain.header("content-type"));
            }
        }
    }
}

#[test]
fn content_security_policy_is_on_every_response() {
    let server = TestServer::open();
    for path in ["/nope", "/healthz", "/api/v1/session", "/ws"] {
        let answer = server.get(path);
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}
