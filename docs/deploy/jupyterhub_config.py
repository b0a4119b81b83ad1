"""JupyterHub starts one `cacnb serve` for each user who signs in; the Hub's name is the reader's.

The Hub makes a token for each server and sends only the user who signed in to the address that
holds it; the server turns it into a cookie at once. cacnb is installed where the Hub's users can
run it; the Hub's own sign-in (LDAP, OAuth, PAM) is set as for any other Hub.
"""

import hmac
import secrets
from urllib.parse import quote

c = get_config()  # noqa: F821 - the Hub defines it

c.JupyterHub.bind_url = "http://127.0.0.1:8000"

SERVE = """
port=${JUPYTERHUB_SERVICE_URL#*://*:}
exec cacnb serve label --study "$CACNB_STUDY_FOLDER" --port "${port%%/*}" \\
    --base-url "$JUPYTERHUB_SERVICE_PREFIX" --reader "$JUPYTERHUB_USER"
"""
c.Spawner.cmd = ["sh", "-c", SERVE]
c.Spawner.environment = {
    "CACNB_STUDY_FOLDER": "/srv/cacnb/study",
    "CACNB_LABELS": "postgresql+psycopg://cacnb@db.hospital.example/cacnb",
}
c.Spawner.http_timeout = 60


SECRET = secrets.token_bytes(32)


def token_of(name):
    """The token of a user's server, which only the Hub can make."""
    return hmac.new(SECRET, name.encode(), "sha256").hexdigest()


def with_token(spawner):
    """Start the user's server with its token."""
    spawner.environment = {**spawner.environment, "CACNB_TOKEN": token_of(spawner.user.name)}


def home(handler):
    """Where the Hub sends a user who signed in: to the user's own app, with its token."""
    user = handler.current_user
    if user is None:
        return "/hub/login"
    app = f"/user/{user.escaped_name}/?token={token_of(user.name)}"
    return app if user.spawner.ready else f"/hub/spawn/{user.escaped_name}?next={quote(app)}"


c.Spawner.pre_spawn_hook = with_token
c.JupyterHub.default_url = home
