//! Sessions, for browsers and for programs.

use super::*;

const OWN: &str = "Origin: http://chat.example";
const SESSION: &str = "/api/v1/session";

/// The cookie that a response sets, as a request header.
fn cookie(response: &RawResponse) -> String {
    let set = &response.headers["set-cookie"];
    format!("Cookie: other=1; {}", set.split(';').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_token_is_valid_until_its_session_ends() {
    let server = TestServer::start();
    let created = server.request("POST /api/v1/session", &[], "{\"name\":\" 李雷 \",\"more\":1}").await;
    assert_eq!(created.status, 201);
    assert!(!created.headers.contains_key("set-cookie"));
    let user = created.json()["user"].clone();
    assert_eq!(user["name"], "李雷");
    let bearer = format!("Authorization: Bearer {}", created.json()["token"].as_str().unwrap());
    let known = server.get(SESSION, &[&bearer]).await;
    assert_eq!((known.status, known.json()), (200, serde_json::json!({ "user": user })));
    assert_eq!(server.request("DELETE /api/v1/session", &[&bearer], "").await.status, 204);
    assert_eq!(server.get(SESSION, &[&bearer]).await.rejection(), (401, "unauthorized".to_owned()));
    assert_eq!(server.get("/ws", &[&UPGRADE[..], &[&bearer]].concat()).await.status, 401);
    assert_eq!(server.request("DELETE /api/v1/session", &[&bearer], "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_gets_a_cookie_that_scripts_cannot_read() {
    let server = TestServer::start();
    let created = server.request("POST /api/v1/session", &[OWN], "{\"name\":\"Li\"}").await;
    assert_eq!(created.status, 201);
    assert!(created.json().get("token").is_none());
    let set = &created.headers["set-cookie"];
    for part in ["teahouse_session=", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=34560000"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    // A GET of the own page has no origin.
    let known = server.get(SESSION, &[&cookie(&created)]).await;
    assert_eq!(known.json()["user"], created.json()["user"]);
    // A second request creates nothing.
    let again = server.request("POST /api/v1/session", &[OWN, &cookie(&created)], "{\"name\":\"Mei\"}").await;
    assert_eq!((again.status, &again.json()["user"]), (200, &created.json()["user"]));
    assert!(!again.headers.contains_key("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_set_over_https_is_secure() {
    let server = TestServer::start();
    let created = server.request("POST /api/v1/session", &["Origin: https://chat.example"], "").await;
    assert!(created.headers["set-cookie"].contains("; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_cookie_is_replaced() {
    let server = TestServer::start();
    let stale = format!("Cookie: teahouse_session={}", "A".repeat(43));
    let created = server.request("POST /api/v1/session", &[OWN, &stale], "").await;
    assert_eq!(created.status, 201);
    assert_eq!(server.get(SESSION, &[&cookie(&created)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_removes_the_cookie_and_needs_the_own_page() {
    let server =
        TestServer::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let created = server.request("POST /api/v1/session", &[OWN], "").await;
    let cookie = cookie(&created);
    for (origin, status) in [
        (None, 401),
        (Some("Origin: https://listed.example"), 401),
        (Some("Origin: http://evil.example"), 403),
    ] {
        let headers: Vec<&str> = origin.into_iter().chain([cookie.as_str()]).collect();
        assert_eq!(server.request("DELETE /api/v1/session", &headers, "").await.status, status, "{origin:?}");
    }
    assert_eq!(server.get(SESSION, &[&cookie]).await.status, 200, "it is still there");
    let ended = server.request("DELETE /api/v1/session", &[OWN, &cookie], "").await;
    assert_eq!(ended.status, 204);
    assert!(
        ended.headers["set-cookie"].starts_with("teahouse_session=; ")
            && ended.headers["set-cookie"].contains("Max-Age=0")
    );
    assert_eq!(server.get(SESSION, &[&cookie]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_page_neither_uses_nor_gets_a_cookie() {
    let server =
        TestServer::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let listed = "Origin: https://listed.example";
    let cookie = cookie(&server.request("POST /api/v1/session", &[OWN], "").await);
    assert_eq!(server.get(SESSION, &[listed, &cookie]).await.status, 401);
    let created = server.request("POST /api/v1/session", &[listed, &cookie], "").await;
    assert_eq!(created.status, 201);
    assert!(!created.headers.contains_key("set-cookie") && created.json()["token"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_name_has_the_language_of_the_request() {
    let server = TestServer::start();
    let name = async |language: &str| {
        let response = server.request("POST /api/v1/session", &[language], "").await;
        response.json()["user"]["name"].as_str().unwrap().to_owned()
    };
    assert!(name("Accept-Language: en").await.is_ascii());
    assert!(!name("Accept-Language: zh-CN").await.is_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_invalid_as_soon_as_it_starts_to_end() {
    let server = TestServer::start();
    let token = server.guest().await;
    let bearer = format!("Authorization: Bearer {token}");
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    client.response().await;
    client.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    client.next_of("joined").await;
    // The store still has the session.
    let hash = crate::token::Token::parse(&token).unwrap().hash();
    server.gateway.sessions().end(hash);
    assert_eq!(server.get(SESSION, &[&bearer]).await.status, 401);
    server.gateway.sessions().end_failed(&hash);
    assert_eq!(server.get(SESSION, &[&bearer]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_session_closes_its_connections_first() {
    let server = TestServer::start();
    let bearer = format!("Authorization: Bearer {}", server.guest().await);
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    assert_eq!(client.response().await.status, 101);
    client.next_of("welcome").await;
    let mut logout = server.connect().await;
    logout.write(request_text("DELETE /api/v1/session", &[&bearer], "")).await;
    // A close frame with 4100; it waits for ours, and the 204 waits for that.
    let head = client.take(2).await;
    assert_eq!(head[0], 0x88);
    let close = client.take(usize::from(head[1])).await;
    assert_eq!(close[..2], 4100_u16.to_be_bytes());
    client.write([0x88, 0x82, 0, 0, 0, 0, close[0], close[1]]).await;
    assert_eq!(client.rest().await, "");
    assert_eq!(logout.response().await.status, 204);
}
