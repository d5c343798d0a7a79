-- The attributes of a room that can change are one JSON object, so that a new one needs no migration. docs/adr/0007 says why.

ALTER TABLE room ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
UPDATE room SET attributes = json_object('topic', topic) WHERE topic <> '';
ALTER TABLE room DROP COLUMN topic;
