"""/v1/webhook-secret: what a receiver checks the signatures of webhooks with."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.api.authentication import principal_of
from gateway.api.problems import Problem
from gateway.webhooks.signing import secrets_of


class WebhookSecretView(APIView):
    """What a receiver checks signatures with."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """The current secret of the key's own client."""
        secrets = secrets_of(principal_of(request._request).client_id)
        if not secrets:
            raise Problem(404, "no_webhook_secret", "There are no webhooks here: GATEWAY_WEBHOOK_SECRET is not set.")
        return Response({"secret": secrets[0]}, headers={"Cache-Control": "no-store"})
