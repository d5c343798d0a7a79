//! Pages of history over HTTP.

use super::*;

/// The `Authorization` header of a member of the lobby, which has three messages.
async fn member_of_lobby(running: &Running) -> String {
    let bearer = format!("Authorization: Bearer {}", running.guest().await);
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    wire.next_of("joined").await;
    for key in 1..=3 {
        wire.send_frame(&format!(
            r#"{{"type":"send","id":{key},"room":"r1","client_message_id":"k{key}","body":"你好 {key}"}}"#
        ))
        .await;
        wire.next_of("ok").await;
    }
    bearer
}

fn numbers(answer: &Answer) -> (Vec<u64>, bool) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = answer.json();
    let events = page["events"].as_array().unwrap();
    (events.iter().map(|event| event["seq"].as_u64().unwrap()).collect(), page["more"].as_bool().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn member_reads_pages_in_both_directions() {
    let running = Running::start();
    let bearer = member_of_lobby(&running).await;
    let page = async |query: &str| numbers(&running.get(&format!("/api/v1/rooms/{query}"), &[&bearer]).await);
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
    let answer = running.get("/api/v1/rooms/r1/events?after=1&limit=1", &[&bearer]).await;
    assert_eq!(answer.json()["events"][0]["body"], "你好 1");
    assert_eq!(answer.json()["events"][0]["type"], "message");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_beyond_the_rate_are_rate_limited() {
    let running = Running::with(|gateway, _| gateway.rates.others = at_most(2));
    let bearer = format!("Authorization: Bearer {}", running.guest().await);
    for status in [403, 403, 429] {
        assert_eq!(running.get("/api/v1/rooms/r1/events", &[&bearer]).await.status, status);
    }
}
