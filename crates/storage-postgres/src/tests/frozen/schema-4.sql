CREATE TABLE public.counter (
    key text NOT NULL,
    value bigint NOT NULL
)
WITH (fillfactor='20');
CREATE TABLE public.membership (
    room bigint NOT NULL,
    user_id bigint NOT NULL,
    since_seq bigint NOT NULL
);
CREATE TABLE public.meta (
    key text NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.read_position (
    room bigint NOT NULL,
    user_id bigint NOT NULL,
    seq bigint NOT NULL,
    n bigint NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE public.room (
    id bigint NOT NULL,
    name text NOT NULL,
    name_key text,
    created_at bigint NOT NULL,
    created_by bigint,
    head_seq bigint DEFAULT 0 NOT NULL,
    head_n bigint DEFAULT 0 NOT NULL,
    head_at bigint,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE public.room_event (
    room bigint NOT NULL,
    seq bigint NOT NULL,
    n bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    sender bigint NOT NULL,
    sender_name text NOT NULL,
    client_message_id text,
    body text,
    payload jsonb
);
CREATE TABLE public.schema (
    version bigint NOT NULL,
    compat bigint NOT NULL
);
CREATE TABLE public.session (
    token_hash bytea NOT NULL,
    user_id bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE public.user_account (
    id bigint NOT NULL,
    name text NOT NULL,
    transient boolean NOT NULL,
    created_at bigint NOT NULL
);
INSERT INTO public.counter VALUES ('probed_at', 0);
INSERT INTO public.counter VALUES ('next_user', 101);
INSERT INTO public.counter VALUES ('next_room', 4);
INSERT INTO public.counter VALUES ('commits', 11);
INSERT INTO public.membership VALUES (1, 1, 1);
INSERT INTO public.membership VALUES (1, 2, 1);
INSERT INTO public.membership VALUES (2, 1, 1);
INSERT INTO public.membership VALUES (2, 2, 1);
INSERT INTO public.membership VALUES (1, 4, 6);
INSERT INTO public.meta VALUES ('epoch', 'ed0b681e7c304a920');
INSERT INTO public.read_position VALUES (1, 1, 2, 1);
INSERT INTO public.read_position VALUES (2, 2, 4, 2);
INSERT INTO public.room VALUES (2, '茶馆', '茶馆', 4000, 1, 5, 2, 7000, '{"topic": "今天喝龙井"}');
INSERT INTO public.room VALUES (1, 'lobby', 'lobby', 0, NULL, 8, 2, 11000, '{}');
INSERT INTO public.room_event VALUES (1, 1, 0, 1000, 'member_joined', 1, 'guest 1', NULL, NULL, '{"also_joined": [{"id": "u2", "name": "guest 2"}, {"id": "u3", "name": "guest 3"}]}');
INSERT INTO public.room_event VALUES (1, 2, 1, 2000, 'message', 1, 'guest 1', 'k1', '你好，茶馆 👩‍🚀', NULL);
INSERT INTO public.room_event VALUES (1, 3, 2, 3000, 'message', 2, 'guest 2', NULL, 'two
lines', NULL);
INSERT INTO public.room_event VALUES (2, 1, 0, 4000, 'member_joined', 1, 'guest 1', NULL, NULL, '{"also_joined": [{"id": "u2", "name": "guest 2"}]}');
INSERT INTO public.room_event VALUES (2, 2, 1, 5000, 'message', 1, 'guest 1', 'k2', 'it''s "tea"', NULL);
INSERT INTO public.room_event VALUES (2, 3, 2, 5000, 'message', 2, 'guest 2', NULL, 'me too', NULL);
INSERT INTO public.room_event VALUES (1, 4, 2, 6000, 'renamed', 2, '韩梅梅', NULL, NULL, '{"old_name": "guest 2"}');
INSERT INTO public.room_event VALUES (2, 4, 2, 6000, 'renamed', 2, '韩梅梅', NULL, NULL, '{"old_name": "guest 2"}');
INSERT INTO public.room_event VALUES (1, 5, 2, 6000, 'member_left', 3, 'guest 3', NULL, NULL, NULL);
INSERT INTO public.room_event VALUES (2, 5, 2, 7000, 'topic_changed', 2, '韩梅梅', NULL, NULL, '{"topic": "今天喝龙井"}');
INSERT INTO public.room_event VALUES (1, 6, 2, 10000, 'member_joined', 4, 'guest 4', NULL, NULL, NULL);
INSERT INTO public.room_event VALUES (1, 7, 2, 11000, 'member_joined', 5, 'guest 5', NULL, NULL, NULL);
INSERT INTO public.room_event VALUES (1, 8, 2, 11000, 'member_left', 5, 'guest 5', NULL, NULL, NULL);
INSERT INTO public.schema VALUES (4, 4);
INSERT INTO public.session VALUES ('\x0101010101010101010101010101010101010101010101010101010101010101', 1, 1000);
INSERT INTO public.session VALUES ('\x0202020202020202020202020202020202020202020202020202020202020202', 2, 1000);
INSERT INTO public.session VALUES ('\x0303030303030303030303030303030303030303030303030303030303030303', 3, 1000);
INSERT INTO public.user_account VALUES (1, 'guest 1', false, 1000);
INSERT INTO public.user_account VALUES (3, 'guest 3', false, 1000);
INSERT INTO public.user_account VALUES (2, '韩梅梅', false, 1000);
INSERT INTO public.user_account VALUES (4, 'guest 4', true, 10000);
INSERT INTO public.user_account VALUES (5, 'guest 5', false, 11000);
ALTER TABLE ONLY public.counter
    ADD CONSTRAINT counter_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_pkey PRIMARY KEY (room, user_id);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.read_position
    ADD CONSTRAINT read_position_pkey PRIMARY KEY (room, user_id);
ALTER TABLE ONLY public.room_event
    ADD CONSTRAINT room_event_pkey PRIMARY KEY (room, seq);
ALTER TABLE ONLY public.room
    ADD CONSTRAINT room_name_key_key UNIQUE (name_key);
ALTER TABLE ONLY public.room
    ADD CONSTRAINT room_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (token_hash);
ALTER TABLE ONLY public.user_account
    ADD CONSTRAINT user_account_pkey PRIMARY KEY (id);
CREATE INDEX membership_of_user ON public.membership USING btree (user_id, room);
CREATE UNIQUE INDEX room_event_key ON public.room_event USING btree (sender, client_message_id) WHERE (client_message_id IS NOT NULL);
CREATE INDEX session_of_user ON public.session USING btree (user_id);
CREATE INDEX user_account_transient ON public.user_account USING btree (id) WHERE transient;
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_room_fkey FOREIGN KEY (room) REFERENCES public.room(id);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.user_account(id);
ALTER TABLE ONLY public.read_position
    ADD CONSTRAINT read_position_room_fkey FOREIGN KEY (room) REFERENCES public.room(id);
ALTER TABLE ONLY public.read_position
    ADD CONSTRAINT read_position_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.user_account(id);
ALTER TABLE ONLY public.room
    ADD CONSTRAINT room_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.user_account(id);
ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.user_account(id) ON DELETE CASCADE;
