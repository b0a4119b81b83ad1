"""JupyterHub starts `cacnb serve` for each user who signs in; the Hub's name is the reader's.

jhsingle-native-proxy stands in front of each server and lets in only the Hub's user; the server
itself listens on loopback with no other way in. Install both beside cacnb:
pip install jupyterhub jhsingle-native-proxy
"""

import sys

c = get_config()  # noqa: F821 - the Hub defines it

study = "/srv/cacnb/study"
labels = "postgresql+psycopg://cacnb@db.hospital.example/cacnb"

c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.Spawner.default_url = "/"
c.Spawner.environment = {"CACNB_LABELS": labels}
c.Spawner.cmd = [
    sys.executable, "-m", "jhsingle_native_proxy.main", "--authtype", "oauth",
    "--destport", "0", "--ready-timeout", "60", "--",
    "cacnb", "serve", "label", "--study", study, "--port", "{port}",
    "--base-url", "{base_url}/", "--token", "{origin_host}-unused-behind-the-hub",
]  # fmt: skip
