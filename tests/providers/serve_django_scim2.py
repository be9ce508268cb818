"""django-scim2 with its own adapters, on the smallest Django project that can hold people and groups."""

import logging
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from serving import TOKEN, serve

logging.disable(logging.CRITICAL)


def bearer(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let whoever has the token in as somebody; all others stay unknown, and django-scim2 answers 401."""

    def answer(request: Any) -> Any:
        known = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        request.user = get_user_model()() if known else AnonymousUser()
        return get_response(request)

    return answer


settings.configure(
    SECRET_KEY="a-secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="people.urls",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people"],
    MIDDLEWARE=[f"{__name__}.bearer"],
    AUTH_USER_MODEL="people.User",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "people.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    SCIM_SERVICE_PROVIDER={
        "SCHEME": "http",
        "NETLOC": "127.0.0.1",
        "GROUP_MODEL": "people.models.Group",
        "AUTHENTICATION_SCHEMES": [
            {"type": "oauthbearertoken", "name": "Bearer", "description": "", "specUri": "", "documentationUri": ""}
        ],
    },
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - Django wants its settings first
from django.contrib.auth.models import AnonymousUser  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
serve(get_wsgi_application(), "/scim/v2")
