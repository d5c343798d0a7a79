-- The truth is room_event; membership, read_position and everything later (messages as they stand, search) could be
-- rebuilt from it, but for read_position, which is in no log. Times are milliseconds since 1970. docs/adr/0002 says why so.

PRAGMA application_id = 1415930216; -- "Teah": so that another program's database is never taken for ours

CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('next_user', 1);

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
) STRICT;
INSERT INTO room (id, name, name_key, created_at) VALUES (1, 'lobby', 'lobby', 0);

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
    was               TEXT,             -- of renamed: the name before
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX room_event_key ON room_event (sender, client_message_id) WHERE client_message_id IS NOT NULL;
