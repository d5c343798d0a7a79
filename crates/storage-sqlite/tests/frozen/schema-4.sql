PRAGMA application_id = 1415930216;
PRAGMA user_version = 4;
PRAGMA page_size = 4096;
PRAGMA encoding = 'UTF-8';
PRAGMA journal_mode = 'wal';
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE person (
    id         INTEGER PRIMARY KEY, -- from meta.next_user, never from SQLite: an id is given out before the person is stored
    name       TEXT NOT NULL,
    transient  INTEGER NOT NULL,    -- 1: has no session, and leaves its rooms when its connection ends
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX person_transient ON person (id) WHERE transient = 1;
CREATE TABLE session (
    token_hash BLOB PRIMARY KEY NOT NULL, -- SHA-256: whoever reads the file cannot log in with it
    user       INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_user ON session (user);
CREATE TABLE room (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, even after the room has gone
    name       TEXT NOT NULL,
    name_key   TEXT UNIQUE,                       -- null: a room without a global name
    created_at INTEGER NOT NULL,
    created_by INTEGER REFERENCES person (id)
, attributes TEXT NOT NULL DEFAULT '{}') STRICT;
CREATE TABLE membership (
    room      INTEGER NOT NULL REFERENCES room (id),
    user      INTEGER NOT NULL REFERENCES person (id),
    since_seq INTEGER NOT NULL, -- the member_joined event
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_of_user ON membership (user, room);
CREATE TABLE read_position (
    room INTEGER NOT NULL REFERENCES room (id),
    user INTEGER NOT NULL REFERENCES person (id),
    seq  INTEGER NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE TABLE room_event (
    room              INTEGER NOT NULL REFERENCES room (id),
    seq               INTEGER NOT NULL, -- 1, 2, 3 … without a hole
    n                 INTEGER NOT NULL, -- the room's messages so far, this event counted
    kind              TEXT NOT NULL,    -- the event's "type" on the wire
    sender            INTEGER NOT NULL REFERENCES person (id),
    sender_name       TEXT NOT NULL,    -- what they were called then
    at                INTEGER NOT NULL, -- never before the room's event before
    client_message_id TEXT,
    body              TEXT,             -- of a message
    was               TEXT, joined_with TEXT, payload TEXT,             -- of renamed: the name before
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX room_event_key ON room_event (sender, client_message_id) WHERE client_message_id IS NOT NULL;
INSERT INTO meta VALUES ('epoch', 'e2b43750496b99b14');
INSERT INTO meta VALUES ('next_user', 101);
INSERT INTO person VALUES (1, '李雷', 0, 1000);
INSERT INTO person VALUES (2, '韩梅梅', 0, 1000);
INSERT INTO person VALUES (3, 'Bob', 0, 1000);
INSERT INTO person VALUES (4, 'Passer-by', 1, 9000);
INSERT INTO person VALUES (5, 'Ann', 0, 10000);
INSERT INTO session VALUES (X'0101010101010101010101010101010101010101010101010101010101010101', 1, 1000);
INSERT INTO session VALUES (X'0202020202020202020202020202020202020202020202020202020202020202', 2, 1000);
INSERT INTO session VALUES (X'0303030303030303030303030303030303030303030303030303030303030303', 3, 1000);
INSERT INTO room VALUES (1, 'lobby', 'lobby', 0, NULL, '{}');
INSERT INTO room VALUES (2, '茶馆', '茶馆', 3000, 1, '{"topic":"今天喝龙井"}');
INSERT INTO sqlite_sequence VALUES ('room', 3);
INSERT INTO membership VALUES (1, 1, 1);
INSERT INTO membership VALUES (1, 2, 1);
INSERT INTO membership VALUES (1, 4, 6);
INSERT INTO membership VALUES (2, 1, 1);
INSERT INTO membership VALUES (2, 2, 1);
INSERT INTO read_position VALUES (1, 1, 2, 1);
INSERT INTO read_position VALUES (2, 2, 4, 2);
INSERT INTO room_event VALUES (1, 1, 0, 'member_joined', 1, '李雷', 1000, NULL, NULL, NULL, '[{"id":"u2","name":"Han Meimei"},{"id":"u3","name":"Bob"}]', NULL);
INSERT INTO room_event VALUES (1, 2, 1, 'message', 1, '李雷', 2000, 'k1', '你好，茶馆 👩‍🚀', NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 3, 2, 'message', 2, 'Han Meimei', 2000, NULL, 'Hello, everybody
and a second line', NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 4, 2, 'renamed', 2, '韩梅梅', 5000, NULL, NULL, 'Han Meimei', NULL, NULL);
INSERT INTO room_event VALUES (1, 5, 2, 'member_left', 3, 'Bob', 5000, NULL, NULL, NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 6, 2, 'member_joined', 4, 'Passer-by', 9000, NULL, NULL, NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 7, 3, 'message', 4, 'Passer-by', 9000, NULL, '路过而已', NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 8, 3, 'member_joined', 5, 'Ann', 10000, NULL, NULL, NULL, NULL, NULL);
INSERT INTO room_event VALUES (1, 9, 3, 'member_left', 5, 'Ann', 10000, NULL, NULL, NULL, NULL, NULL);
INSERT INTO room_event VALUES (2, 1, 0, 'member_joined', 1, '李雷', 3000, NULL, NULL, NULL, '[{"id":"u2","name":"Han Meimei"}]', NULL);
INSERT INTO room_event VALUES (2, 2, 1, 'message', 1, '李雷', 4000, 'k2', '今天喝龙井', NULL, NULL, NULL);
INSERT INTO room_event VALUES (2, 3, 2, 'message', 2, 'Han Meimei', 4000, NULL, 'me too', NULL, NULL, NULL);
INSERT INTO room_event VALUES (2, 4, 2, 'renamed', 2, '韩梅梅', 5000, NULL, NULL, 'Han Meimei', NULL, NULL);
INSERT INTO room_event VALUES (2, 5, 2, 'topic_changed', 2, '韩梅梅', 6000, NULL, NULL, NULL, NULL, '{"topic":"今天喝龙井"}');
