-- People who join a room in one commit share its member_joined event. docs/adr/0005 says why.

ALTER TABLE room_event ADD COLUMN joined_with TEXT; -- of member_joined: the people beside the sender, as JSON; null if none
