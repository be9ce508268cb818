"""canaille on SQLite, and the token of a client that may write."""

import datetime
import logging

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from serving import TOKEN, serve

logging.disable(logging.CRITICAL)
app = create_app(
    {
        "SECRET_KEY": "a-secret-of-at-least-thirty-two-characters",
        "CANAILLE": {"DATABASE": "sql"},
        "CANAILLE_SQL": {"DATABASE_URI": "sqlite:///canaille.sqlite"},
        "CANAILLE_OIDC": {},
        "CANAILLE_SCIM": {"ENABLE_SERVER": True},
    },
    init_backend=True,
)
now = datetime.datetime.now(datetime.UTC)
with app.app_context(), Backend.instance.session():
    client = models.Client(client_id="scimsync", client_name="scimsync", client_id_issued_at=now)
    Backend.instance.save(client)
    token = models.Token(
        token_id="scimsync", access_token=TOKEN, client=client, type="access_token",
        scope=["openid"], issue_date=now, lifetime=86400,
    )  # fmt: skip
    Backend.instance.save(token)
# its own server, hypercorn, plays one request after another, too
serve(app, "/scim/v2", threads=False)
