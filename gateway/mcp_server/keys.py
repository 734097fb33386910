"""API keys by the SDK's token verifier."""

from mcp.server.auth.provider import AccessToken, TokenVerifier

from gateway.access import keys
from gateway.access.principal import Principal
from gateway.mcp_server.threads import Threads


async def principal_of(key: str, threads: Threads) -> Principal | None:
    """Whose key this is, if it is anybody's; a thread is used only where the database must be asked. Raises LogUnavailableError."""
    return keys.verify(key) if keys.is_remembered(key) else await threads.look_up(lambda: keys.verify(key))


class KeyToken(AccessToken):
    """A key that is good. Its text is not kept."""

    principal: Principal


class KeyVerifier(TokenVerifier):
    """Looks keys up where REST does. There is no issuer: keys are made by `create_api_key`."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def verify_token(self, token: str) -> KeyToken | None:
        """None for a key that is not known, or revoked. Raises LogUnavailableError."""
        principal = await principal_of(token.strip(), self._threads)
        if principal is None:
            return None
        return KeyToken(
            token=principal.key_prefix,
            client_id=principal.client_id,
            subject=principal.client_id,
            scopes=sorted(principal.scopes),
            principal=principal,
        )
