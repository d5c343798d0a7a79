-- SQLite's 0002 adds a column for the users who share a member_joined event. Here `payload` holds them from the start.
SELECT 1;
