"""A Django website with social-auth-app-django: python website.py ISSUER ADDRESS DATABASE"""

import os
import sys

import django
from django.conf import settings
from django.contrib.auth import logout
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

issuer, address, database = sys.argv[1:]
settings.configure(
    DEBUG=True, SECRET_KEY="a key of tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "social_django"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["social_core.backends.open_id_connect.OpenIdConnectAuth"],
    LOGIN_REDIRECT_URL="/",
    SOCIAL_AUTH_OIDC_OIDC_ENDPOINT=issuer, SOCIAL_AUTH_OIDC_KEY="social", SOCIAL_AUTH_OIDC_SECRET=os.environ["CLIENT_SECRET"],
    SOCIAL_AUTH_OIDC_USE_PKCE=True, SOCIAL_AUTH_OIDC_SCOPE=["offline_access"],
)


def home(request):
    return JsonResponse({"email": getattr(request.user, "email", "")})


def refresh(request):
    """Renews the tokens of the person, as a program does that keeps them."""
    from social_django.utils import load_strategy

    kept = request.user.social_auth.get(provider="oidc")
    before = kept.extra_data["access_token"]
    kept.refresh_token(load_strategy(request))
    return JsonResponse({"renewed": kept.extra_data["access_token"] != before})


@csrf_exempt
def leave(request):
    logout(request)
    return home(request)


urlpatterns = [path("", home), path("refresh", refresh), path("leave", leave)]

if __name__ == "__main__":
    django.setup()
    # Its views want the models, which are there from here on.
    urlpatterns.append(path("", include("social_django.urls", namespace="social")))
    call_command("migrate", verbosity=0)
    call_command("runserver", address, use_reloader=False)
