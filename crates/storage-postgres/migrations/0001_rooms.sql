-- The source of truth is room_event. Membership and everything later (messages as they stand, search) can be rebuilt from it;
-- read_position cannot, because it is in no log. Times are milliseconds since 1970. docs/adr/0002 and 0006 give the reasons.
-- Migration numbers are those of crates/storage/migrations: equal numbers mean equal contents.

CREATE TABLE meta (
    key   text PRIMARY KEY,
    value text NOT NULL
);

-- Apart from meta, because these change with every batch: 'commits' is how a reader notices one.
CREATE TABLE counter (
    key   text PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 20);
INSERT INTO counter (key, value) VALUES ('next_user', 1), ('next_room', 2), ('commits', 0), ('probed_at', 0);

CREATE TABLE user_account (
    id         bigint PRIMARY KEY, -- from counter.next_user: an id is given out before the account is stored
    name       text NOT NULL,
    transient  boolean NOT NULL,   -- true: has no session, and leaves its rooms when its connection ends
    created_at bigint NOT NULL
);
CREATE INDEX user_account_transient ON user_account (id) WHERE transient;

CREATE TABLE session (
    token_hash bytea PRIMARY KEY, -- SHA-256: a reader of the database cannot log in with it
    user_id    bigint NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created_at bigint NOT NULL
);
CREATE INDEX session_of_user ON session (user_id);

-- The head is in the room's row, so that locking the row also reads it. Space is left in each page for its next versions.
CREATE TABLE room (
    id         bigint PRIMARY KEY,         -- from counter.next_room: never used again, even after the room has been deleted
    name       text NOT NULL,
    name_key   text UNIQUE,                -- null: a room without a global name
    created_at bigint NOT NULL,
    created_by bigint REFERENCES user_account (id),
    head_seq   bigint NOT NULL DEFAULT 0,  -- the number of the last event
    head_n     bigint NOT NULL DEFAULT 0,  -- the messages so far
    head_at    bigint                      -- the time of the last event; null if there is none
) WITH (fillfactor = 50);
INSERT INTO room (id, name, name_key, created_at) VALUES (1, 'lobby', 'lobby', 0);

CREATE TABLE membership (
    room      bigint NOT NULL REFERENCES room (id),
    user_id   bigint NOT NULL REFERENCES user_account (id),
    since_seq bigint NOT NULL, -- the member_joined event
    PRIMARY KEY (room, user_id)
);
CREATE INDEX membership_of_user ON membership (user_id, room);

CREATE TABLE read_position (
    room    bigint NOT NULL REFERENCES room (id),
    user_id bigint NOT NULL REFERENCES user_account (id),
    seq     bigint NOT NULL,
    n       bigint NOT NULL,
    PRIMARY KEY (room, user_id)
) WITH (fillfactor = 50);

-- No foreign keys: each would cost a look-up and a row lock for every message.
CREATE TABLE room_event (
    room              bigint NOT NULL,
    seq               bigint NOT NULL, -- 1, 2, 3 … without a gap
    n                 bigint NOT NULL, -- the room's messages so far, this event included
    at                bigint NOT NULL, -- never before the room's previous event
    kind              text NOT NULL,   -- the event's "type" on the wire
    sender            bigint NOT NULL,
    sender_name       text NOT NULL,   -- the sender's name at that time
    client_message_id text,
    body              text,            -- of a message
    payload           jsonb,           -- the fields of the event that have no column
    PRIMARY KEY (room, seq)
);
CREATE UNIQUE INDEX room_event_key ON room_event (sender, client_message_id) WHERE client_message_id IS NOT NULL;
