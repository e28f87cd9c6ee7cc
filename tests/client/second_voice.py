"""Sign-in with `supabase_auth` of Python, which shares no code with the npm client: the main flows, and their refusals.

Needs AURORA_URL and SERVICE_KEY, and a quickstart that confirms by mail; tests/client/run sets them.
"""

import json
import os
import sys
import time
import unittest
import urllib.request
import uuid

from supabase_auth import SyncGoTrueClient, SyncMemoryStorage
from supabase_auth.errors import AuthError

URL = os.environ["AURORA_URL"]
KEY = "sb_publishable_quickstart"
SERVICE_KEY = os.environ["SERVICE_KEY"]


def client(key=KEY, **options):
    return SyncGoTrueClient(
        url=f"{URL}/auth/v1",
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
        auto_refresh_token=False,
        storage=SyncMemoryStorage(),
        **options,
    )


def address(name):
    return f"{name}-{uuid.uuid4()}@example.com"


def password():
    return f"lamp {uuid.uuid4()}"


def mail(to, kind):
    """The newest mail of that kind to that address, as soon as it was sent."""
    for _ in range(100):
        with urllib.request.urlopen(f"{URL}/auth/v1/mailbox.json") as answer:
            mails = json.load(answer)["mails"]
        found = [one for one in mails if one["to"] == to and one["kind"] == kind]
        if found:
            return max(found, key=lambda one: one["created_at"])
        time.sleep(0.1)
    raise AssertionError(f"no {kind} to {to}")


def confirmed():
    """A person whose address is confirmed: the client that is signed in, and how to sign in again."""
    auth, credentials = client(), {"email": address("py"), "password": password()}
    waiting = auth.sign_up(credentials)
    assert waiting.session is None, "a registration waits for its mail"
    code = mail(credentials["email"], "confirmation")["code"]
    auth.verify_otp({"email": credentials["email"], "token": code, "type": "email"})
    return auth, credentials


class SecondVoice(unittest.TestCase):
    def refused(self, code, call, *arguments):
        with self.assertRaises(AuthError) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code, caught.exception)

    def test_a_registration_is_confirmed_by_its_code(self):
        auth, credentials = confirmed()
        session = auth.get_session()
        self.assertEqual(session.user.email, credentials["email"])
        self.assertIsNotNone(session.user.email_confirmed_at)
        self.assertEqual(auth.get_user().user.id, session.user.id)
        self.assertEqual([one.provider for one in auth.get_user_identities().identities], ["email"])

    def test_password_sign_in_and_its_refusals(self):
        _, credentials = confirmed()
        auth = client()
        self.assertEqual(auth.sign_in_with_password(credentials).user.email, credentials["email"])
        wrong = {**credentials, "password": password()}
        self.refused("invalid_credentials", client().sign_in_with_password, wrong)
        unknown = {**credentials, "email": address("nobody")}
        self.refused("invalid_credentials", client().sign_in_with_password, unknown)
        self.refused("weak_password", client().sign_up, {"email": address("weak"), "password": "password"})

    def test_refresh_rotates_and_claims_verify_by_the_key_set(self):
        auth, _ = confirmed()
        before = auth.get_session()
        after = auth.refresh_session().session
        self.assertNotEqual(before.refresh_token, after.refresh_token)
        claims = auth.get_claims()["claims"]
        self.assertEqual((claims["sub"], claims["role"]), (after.user.id, "authenticated"))

    def test_a_code_by_mail_signs_in(self):
        _, credentials = confirmed()
        auth = client()
        auth.sign_in_with_otp({"email": credentials["email"], "options": {"should_create_user": False}})
        code = mail(credentials["email"], "magic_link")["code"]
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        self.refused("otp_expired", auth.verify_otp, {"email": credentials["email"], "token": wrong, "type": "email"})
        session = auth.verify_otp({"email": credentials["email"], "token": code, "type": "email"}).session
        self.assertIsNotNone(session)

    def test_a_password_is_recovered(self):
        _, credentials = confirmed()
        auth = client()
        auth.reset_password_for_email(credentials["email"])
        code = mail(credentials["email"], "recovery")["code"]
        auth.verify_otp({"email": credentials["email"], "token": code, "type": "recovery"})
        fresh = password()
        auth.update_user({"password": fresh})
        self.refused("invalid_credentials", client().sign_in_with_password, credentials)
        client().sign_in_with_password({**credentials, "password": fresh})

    def test_metadata_is_the_user_s_and_sign_out_ends_the_session(self):
        auth, credentials = confirmed()
        self.assertEqual(auth.update_user({"data": {"name": "Ada"}}).user.user_metadata["name"], "Ada")
        token = auth.get_session().access_token
        auth.sign_out()
        self.assertIsNone(auth.get_session())
        with self.assertRaises(AuthError):
            client().get_user(token)

    def test_the_service_administers_users(self):
        admin = client(SERVICE_KEY).admin
        email = address("made")
        made = admin.create_user({"email": email, "password": password(), "email_confirm": True}).user
        self.assertEqual(admin.get_user_by_id(made.id).user.email, email)
        self.assertEqual(admin.update_user_by_id(made.id, {"app_metadata": {"plan": "pro"}}).user.app_metadata["plan"], "pro")
        self.assertIn(made.id, [user.id for user in admin.list_users(page=1, per_page=1000)])
        link = admin.generate_link({"type": "magiclink", "email": email})
        self.assertTrue(link.properties.action_link.startswith(URL))
        admin.delete_user(made.id)
        self.refused("user_not_found", admin.get_user_by_id, made.id)
        with self.assertRaises(AuthError):
            client().admin.list_users()


if __name__ == "__main__":
    program = unittest.main(verbosity=2, exit=False, warnings="ignore")
    broken = len(program.result.failures) + len(program.result.errors)
    # As Node's runner counts, so that one reader adds them up.
    print(f"# pass {program.result.testsRun - broken - len(program.result.skipped)}")
    print(f"# fail {broken}")
    print(f"# skipped {len(program.result.skipped)}")
    sys.exit(broken > 0)
