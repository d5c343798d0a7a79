-- A room has a topic. Fields of an event without a column of their own are in `payload`, so that a new kind of event needs no
-- migration.

ALTER TABLE room ADD COLUMN topic TEXT NOT NULL DEFAULT ''; -- '': none
ALTER TABLE room_event ADD COLUMN payload TEXT;             -- JSON; null if there are no such fields
