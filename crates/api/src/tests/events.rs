//! Pages of history over HTTP.

use super::*;

/// The `Authorization` header of a member of the lobby, which has three messages.
async fn member_of_lobby(server: &TestServer) -> String {
    let bearer = format!("Authorization: Bearer {}", server.guest().await);
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    assert_eq!(client.response().await.status, 101);
    client.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    client.next_of("joined").await;
    for key in 1..=3 {
        client
            .send_frame(&format!(
                r#"{{"type":"send","id":{key},"room":"r1","client_message_id":"k{key}","body":"你好 {key}"}}"#
            ))
            .await;
        client.next_of("ok").await;
    }
    bearer
}

fn numbers(response: &RawResponse) -> (Vec<u64>, bool) {
    assert_eq!(response.status, 200, "{}", response.text());
    let page = response.json();
    let events = page["events"].as_array().unwrap();
    (events.iter().map(|event| event["seq"].as_u64().unwrap()).collect(), page["more"].as_bool().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn member_reads_pages_in_both_directions() {
    let server = TestServer::start();
    let bearer = member_of_lobby(&server).await;
    let page = async |query: &str| numbers(&server.get(&format!("/api/v1/rooms/{query}"), &[&bearer]).await);
    assert_eq!(page("r1/events").await, (vec![1, 2, 3, 4], false));
    assert_eq!(page("LOBBY/events?after=0").await, (vec![1, 2, 3, 4], false));
    assert_eq!(page("lobby/events?after=1&limit=2").await, (vec![2, 3], true));
    assert_eq!(page("lobby/events?limit=2").await, (vec![3, 4], true));
    assert_eq!(page("lobby/events?before=4&limit=2").await, (vec![2, 3], true));
    assert_eq!(page("lobby/events?before=3").await, (vec![1, 2], false));
    assert_eq!(page("lobby/events?after=4").await, (vec![], false));
    assert_eq!(page("lobby/events?after=18446744073709551615").await, (vec![], false));
    assert_eq!(page("lobby/events?before=18446744073709551615&limit=0").await, (vec![4], true));
    assert_eq!(page("lobby/events?limit=4294967295").await, (vec![1, 2, 3, 4], false));
    let response = server.get("/api/v1/rooms/r1/events?after=1&limit=1", &[&bearer]).await;
    assert_eq!(response.json()["events"][0]["body"], "你好 1");
    assert_eq!(response.json()["events"][0]["type"], "message");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_beyond_the_rate_are_rate_limited() {
    let server = TestServer::with(|gateway, _| gateway.rates.commands = at_most(2));
    let bearer = format!("Authorization: Bearer {}", server.guest().await);
    for status in [403, 403, 429] {
        assert_eq!(server.get("/api/v1/rooms/r1/events", &[&bearer]).await.status, status);
    }
}
