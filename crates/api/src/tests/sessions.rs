//! Sessions, for browsers and for programs.

use super::*;

const OWN: &str = "Origin: http://chat.example";
const SESSION: &str = "/api/v1/session";

/// The cookie that a response sets, as a request header.
fn cookie(answer: &Answer) -> String {
    let set = &answer.headers["set-cookie"];
    format!("Cookie: other=1; {}", set.split(';').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_token_is_valid_until_its_session_ends() {
    let running = Running::start();
    let created = running.ask("POST /api/v1/session", &[], "{\"name\":\" 李雷 \",\"more\":1}").await;
    assert_eq!(created.status, 201);
    assert!(!created.headers.contains_key("set-cookie"));
    let user = created.json()["user"].clone();
    assert_eq!(user["name"], "李雷");
    let bearer = format!("Authorization: Bearer {}", created.json()["token"].as_str().unwrap());
    let known = running.get(SESSION, &[&bearer]).await;
    assert_eq!((known.status, known.json()), (200, serde_json::json!({ "user": user })));
    assert_eq!(running.ask("DELETE /api/v1/session", &[&bearer], "").await.status, 204);
    assert_eq!(running.get(SESSION, &[&bearer]).await.rejection(), (401, "unauthorized".to_owned()));
    assert_eq!(running.get("/ws", &[&UPGRADE[..], &[&bearer]].concat()).await.status, 401);
    assert_eq!(running.ask("DELETE /api/v1/session", &[&bearer], "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_gets_a_cookie_that_scripts_cannot_read() {
    let running = Running::start();
    let created = running.ask("POST /api/v1/session", &[OWN], "{\"name\":\"Li\"}").await;
    assert_eq!(created.status, 201);
    assert!(created.json().get("token").is_none());
    let set = &created.headers["set-cookie"];
    for part in ["teahouse_session=", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=34560000"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    // A GET of the own page has no origin.
    let known = running.get(SESSION, &[&cookie(&created)]).await;
    assert_eq!(known.json()["user"], created.json()["user"]);
    // A second request creates nothing.
    let again = running.ask("POST /api/v1/session", &[OWN, &cookie(&created)], "{\"name\":\"Mei\"}").await;
    assert_eq!((again.status, &again.json()["user"]), (200, &created.json()["user"]));
    assert!(!again.headers.contains_key("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_set_over_https_is_secure() {
    let running = Running::start();
    let created = running.ask("POST /api/v1/session", &["Origin: https://chat.example"], "").await;
    assert!(created.headers["set-cookie"].ends_with("; Secure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_cookie_is_replaced() {
    let running = Running::start();
    let stale = format!("Cookie: teahouse_session={}", "A".repeat(43));
    let created = running.ask("POST /api/v1/session", &[OWN, &stale], "").await;
    assert_eq!(created.status, 201);
    assert_eq!(running.get(SESSION, &[&cookie(&created)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_removes_the_cookie_and_needs_the_own_page() {
    let running =
        Running::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let created = running.ask("POST /api/v1/session", &[OWN], "").await;
    let cookie = cookie(&created);
    for (origin, status) in [
        (None, 401),
        (Some("Origin: https://listed.example"), 401),
        (Some("Origin: http://evil.example"), 403),
    ] {
        let headers: Vec<&str> = origin.into_iter().chain([cookie.as_str()]).collect();
        assert_eq!(running.ask("DELETE /api/v1/session", &headers, "").await.status, status, "{origin:?}");
    }
    assert_eq!(running.get(SESSION, &[&cookie]).await.status, 200, "it is still there");
    let ended = running.ask("DELETE /api/v1/session", &[OWN, &cookie], "").await;
    assert_eq!(ended.status, 204);
    assert!(
        ended.headers["set-cookie"].starts_with("teahouse_session=; ")
            && ended.headers["set-cookie"].contains("Max-Age=0")
    );
    assert_eq!(running.get(SESSION, &[&cookie]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_page_neither_uses_nor_gets_a_cookie() {
    let running =
        Running::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let listed = "Origin: https://listed.example";
    let cookie = cookie(&running.ask("POST /api/v1/session", &[OWN], "").await);
    assert_eq!(running.get(SESSION, &[listed, &cookie]).await.status, 401);
    let created = running.ask("POST /api/v1/session", &[listed, &cookie], "").await;
    assert_eq!(created.status, 201);
    assert!(!created.headers.contains_key("set-cookie") && created.json()["token"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_name_has_the_language_of_the_request() {
    let running = Running::start();
    let name = async |language: &str| {
        let answer = running.ask("POST /api/v1/session", &[language], "").await;
        answer.json()["user"]["name"].as_str().unwrap().to_owned()
    };
    assert!(name("Accept-Language: en").await.is_ascii());
    assert!(!name("Accept-Language: zh-CN").await.is_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn session_is_invalid_as_soon_as_it_starts_to_end() {
    let running = Running::start();
    let token = running.guest().await;
    let bearer = format!("Authorization: Bearer {token}");
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    wire.answer().await;
    wire.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    wire.next_of("joined").await;
    // The store still has the session.
    let hash = crate::token::Token::parse(&token).unwrap().hash();
    running.gateway.sessions().end(hash);
    assert_eq!(running.get(SESSION, &[&bearer]).await.status, 401);
    running.gateway.sessions().end_failed(&hash);
    assert_eq!(running.get(SESSION, &[&bearer]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_session_closes_its_connections_first() {
    let running = Running::start();
    let bearer = format!("Authorization: Bearer {}", running.guest().await);
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.next_of("welcome").await;
    let mut logout = running.connect().await;
    logout.write(request("DELETE /api/v1/session", &[&bearer], "")).await;
    // A close frame with 4100; it waits for ours, and the 204 waits for that.
    let head = wire.take(2).await;
    assert_eq!(head[0], 0x88);
    let close = wire.take(usize::from(head[1])).await;
    assert_eq!(close[..2], 4100_u16.to_be_bytes());
    wire.write([0x88, 0x82, 0, 0, 0, 0, close[0], close[1]]).await;
    assert_eq!(wire.rest().await, "");
    assert_eq!(logout.answer().await.status, 204);
}
