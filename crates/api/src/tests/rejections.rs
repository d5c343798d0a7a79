//! Errors with their statuses and codes, and the headers of every response.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_its_status_and_its_code() {
    let server = TestServer::start();
    let token = server.guest().await;
    let bearer = format!("Authorization: Bearer {token}");
    let foreign = "Origin: http://evil.example";
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(20_000));
    let cases: &[(&str, &[&str], &str, u16, &str)] = &[
        ("GET /nowhere", &[], "", 404, "not_found"),
        ("GET /api/v1/nowhere", &[], "", 404, "not_found"),
        ("POST /healthz", &[], "", 405, "not_found"),
        ("POST /", &[], "", 405, "not_found"),
        ("PUT /api/v1/session", &[], "", 405, "not_found"),
        ("GET /api/v1/session", &[], "", 401, "unauthorized"),
        ("GET /api/v1/session", &["Authorization: Bearer x"], "", 401, "unauthorized"),
        ("GET /api/v1/session", &[&bearer, foreign], "", 403, "forbidden_origin"),
        ("POST /api/v1/session", &[foreign], "", 403, "forbidden_origin"),
        ("POST /api/v1/session", &["Origin: null"], "", 403, "forbidden_origin"),
        ("POST /api/v1/session", &[], "{", 400, "malformed"),
        ("POST /api/v1/session", &[], "{\"name\":7}", 400, "malformed"),
        ("POST /api/v1/session", &[], "{\"name\":\"a:b\"}", 400, "invalid_name"),
        ("POST /api/v1/session", &[], "{\"name\":\"\"}", 400, "invalid_name"),
        ("POST /api/v1/session", &[], &long, 413, "body_too_long"),
        ("DELETE /api/v1/session", &[], "", 401, "unauthorized"),
        ("DELETE /api/v1/session", &[&bearer, foreign], "", 403, "forbidden_origin"),
        ("GET /api/v1/rooms/lobby/events", &[], "", 401, "unauthorized"),
        ("GET /api/v1/rooms/lobby/events", &[&bearer], "", 403, "not_a_member"),
        ("GET /api/v1/rooms/r1/events", &[&bearer, foreign], "", 403, "forbidden_origin"),
        ("GET /api/v1/rooms/nowhere/events", &[&bearer], "", 404, "room_not_found"),
        ("GET /api/v1/rooms/r999/events", &[&bearer], "", 404, "room_not_found"),
        ("GET /api/v1/rooms/a%20b/events", &[&bearer], "", 400, "invalid_name"),
        ("GET /api/v1/rooms/%ff/events", &[&bearer], "", 400, "invalid_name"),
        ("GET /api/v1/rooms/r1/events?after=x", &[&bearer], "", 400, "malformed"),
        ("GET /api/v1/rooms/r1/events?after=-1", &[&bearer], "", 400, "malformed"),
        ("GET /api/v1/rooms/r1/events?after=1&before=2", &[&bearer], "", 400, "malformed"),
        ("GET /ws", &[], "", 426, "malformed"),
    ];
    for (request_line, headers, body, status, code) in cases {
        let response = server.request(request_line, headers, body).await;
        assert_eq!(response.rejection(), (*status, (*code).to_owned()), "{request_line} {headers:?}");
        if response.status == 405 {
            assert!(response.headers["allow"].contains("GET"), "{request_line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_upgrade_is_rejected() {
    let server =
        TestServer::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let cases: &[(&[&str], u16, &str)] = &[
        (&["Sec-WebSocket-Protocol: other"], 400, "malformed"),
        (&["Sec-WebSocket-Protocol: teahouse.v2.json, chat"], 400, "malformed"),
        (&["Sec-WebSocket-Version: 8"], 426, "malformed"),
        (&["Host: other.example"], 400, "malformed"),
        (&["Origin: http://evil.example"], 403, "forbidden_origin"),
        (&["Origin: http://chat.example:8080"], 403, "forbidden_origin"),
        (&["Origin: null"], 403, "forbidden_origin"),
        (&["Authorization: Bearer x"], 401, "unauthorized"),
        (&["Authorization: Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], 401, "unauthorized"),
        (&["Cookie: teahouse_session=x"], 401, "unauthorized"),
        (&["Origin: http://chat.example", "Cookie: teahouse_session=x"], 401, "unauthorized"),
    ];
    for (headers, status, code) in cases {
        let response = server.get("/ws", &[&UPGRADE[..], headers].concat()).await;
        assert_eq!(response.rejection(), (*status, (*code).to_owned()), "{headers:?}");
    }
    let mut client = server.connect().await;
    client.write(request_text("HEAD /ws", &["Connection: close"], "")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_head_is_rejected_at_its_limit() {
    let server = TestServer::start();
    let mut client = server.connect().await;
    client.write(format!("GET / HTTP/1.1\r\nHost: chat.example\r\nX: {}", "x".repeat(40_000))).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_the_policy_and_explicit_caching() {
    let server = TestServer::start();
    for path in ["/", "/healthz", "/nowhere", "/api/v1/session", "/metrics"] {
        let response = server.get(path, &[]).await;
        let policy = &response.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path} {policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(response.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(response.headers["cross-origin-opener-policy"], "same-origin", "{path}");
        let expected = if path == "/" { "no-cache" } else { "no-store" };
        assert_eq!(response.headers["cache-control"], expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_request_is_answered_without_a_body() {
    let server = TestServer::start();
    let length = server.get("/", &[]).await.body.len();
    for path in ["/", "/healthz"] {
        let mut client = server.connect().await;
        client.write(request_text(&format!("HEAD {path}"), &["Connection: close"], "")).await;
        let text = client.rest().await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(path != "/" || text.contains(&format!("content-length: {length}\r\n")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_public() {
    let server = TestServer::start();
    assert_eq!(server.get("/healthz", &[]).await.text(), "ok");
    assert_eq!(server.get("/readyz", &[]).await.text(), "ready");
    assert_eq!(server.get("/nowhere", &[]).await.status, 404);
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL])).await;
    client.response().await;
    client.next_of("welcome").await;
    let response = server.get("/metrics", &[]).await;
    assert!(response.headers["content-type"].starts_with("application/openmetrics-text"));
    let text = response.text();
    for line in [
        "teahouse_connections 1",
        "teahouse_http_requests_total{status=\"1xx\"} 1",
        "teahouse_http_requests_total{status=\"2xx\"} 2",
        "teahouse_http_requests_total{status=\"4xx\"} 1",
        "teahouse_errors_total{code=\"not_found\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
