"""A Django website with mozilla-django-oidc: python website.py ISSUER ADDRESS DATABASE"""

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import include, path

issuer, address, database = sys.argv[1:]
settings.configure(
    DEBUG=True, SECRET_KEY="a key of tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "mozilla_django_oidc"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "mozilla_django_oidc.middleware.SessionRefresh",
    ],
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
    LOGIN_REDIRECT_URL="/", LOGOUT_REDIRECT_URL="/",
    LOGGING={"version": 1, "handlers": {"out": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["out"], "level": "INFO"}},
    OIDC_RP_CLIENT_ID="django", OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"], OIDC_RP_SCOPES="openid email profile",
    OIDC_OP_AUTHORIZATION_ENDPOINT=issuer + "/authorize", OIDC_OP_TOKEN_ENDPOINT=issuer + "/token",
    OIDC_OP_USER_ENDPOINT=issuer + "/userinfo", OIDC_OP_JWKS_ENDPOINT=issuer + "/jwks.json",
    OIDC_RP_SIGN_ALGO="RS256", OIDC_USE_PKCE=True, OIDC_STORE_ID_TOKEN=True,
    # Renewed by a redirect with prompt=none at every page that is asked for two seconds after the last.
    OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS=2,
)


def home(request):
    return JsonResponse({"email": getattr(request.user, "email", ""), "id_token": request.session.get("oidc_id_token")})


urlpatterns = [path("", home), path("oidc/", include("mozilla_django_oidc.urls"))]

if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("runserver", address, use_reloader=False)
