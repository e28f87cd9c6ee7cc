-- Who may do what, in PostgreSQL's own words. Aurora enforces this on SQLite too.
-- Permissive policies add up: a row is visible when any of them says so.

ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON notes TO anon;
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;
GRANT SELECT, INSERT ON teams TO authenticated;
GRANT SELECT, INSERT ON members TO authenticated;

-- notes -------------------------------------------------------------------------------------------------------

CREATE POLICY "own notes" ON notes FOR SELECT TO authenticated
    USING (owner = auth.uid());

CREATE POLICY "notes of my teams" ON notes FOR SELECT TO authenticated
    USING (EXISTS (SELECT 1 FROM members m WHERE m.team_id = notes.team_id AND m.user_id = auth.uid()));

CREATE POLICY "public notes" ON notes FOR SELECT TO anon, authenticated
    USING (is_public);

CREATE POLICY "write as myself, to my own teams" ON notes FOR INSERT TO authenticated
    WITH CHECK (
        owner = auth.uid()
        AND (team_id IS NULL OR team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()))
    );

CREATE POLICY "edit my own notes" ON notes FOR UPDATE TO authenticated
    USING (owner = auth.uid())
    WITH CHECK (
        owner = auth.uid()
        AND (team_id IS NULL OR team_id IN (SELECT m.team_id FROM members m WHERE m.user_id = auth.uid()))
    );

CREATE POLICY "delete my own notes" ON notes FOR DELETE TO authenticated
    USING (owner = auth.uid());

CREATE POLICY "team admins may delete" ON notes FOR DELETE TO authenticated
    USING (EXISTS (
        SELECT 1 FROM members m
        WHERE m.team_id = notes.team_id AND m.user_id = auth.uid() AND m.role = 'admin'
    ));

-- teams -------------------------------------------------------------------------------------------------------

CREATE POLICY "teams I own or belong to" ON teams FOR SELECT TO authenticated
    USING (
        owner = auth.uid()
        OR EXISTS (SELECT 1 FROM members m WHERE m.team_id = teams.id AND m.user_id = auth.uid())
    );

CREATE POLICY "found a team" ON teams FOR INSERT TO authenticated
    WITH CHECK (owner = auth.uid());

-- members: no subquery here, since teams asks members ---------------------------------------------------------

CREATE POLICY "my own membership" ON members FOR SELECT TO authenticated
    USING (user_id = auth.uid());

CREATE POLICY "members of teams I own" ON members FOR SELECT TO authenticated
    USING (team_owner = auth.uid());

CREATE POLICY "owners add members" ON members FOR INSERT TO authenticated
    WITH CHECK (team_owner = auth.uid());

-- files: each user has a folder of their own name in the bucket `attachments` -----------------------------------

ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON storage.buckets TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage.objects TO authenticated;

CREATE POLICY "the bucket is no secret" ON storage.buckets FOR SELECT TO authenticated
    USING (id = 'attachments');

CREATE POLICY "my own folder" ON storage.objects FOR ALL TO authenticated
    USING (bucket_id = 'attachments' AND (storage.foldername(name))[1] = auth.uid()::text)
    WITH CHECK (bucket_id = 'attachments' AND (storage.foldername(name))[1] = auth.uid()::text);
