-- Registrations that nobody confirmed, and users without an address: for the job that clears them away.
CREATE INDEX auth_users_unconfirmed ON auth_users (confirmation_sent_at, id) WHERE email_confirmed_at IS NULL;
CREATE INDEX auth_users_anonymous ON auth_users (created_at, id) WHERE is_anonymous = 1;
