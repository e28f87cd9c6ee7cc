-- Registrations that nobody confirmed, and users without an address: for the job that clears them away.
CREATE INDEX users_unconfirmed ON auth.users (confirmation_sent_at, id) WHERE email_confirmed_at IS NULL;
CREATE INDEX users_anonymous ON auth.users (created_at, id) WHERE is_anonymous;
