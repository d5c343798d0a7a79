-- A room has a topic. SQLite's 0003 also adds `room_event.payload`, which is here from the start.
ALTER TABLE room ADD COLUMN topic text NOT NULL DEFAULT ''; -- '': none
