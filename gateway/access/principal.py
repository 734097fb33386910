"""Who acts, and what it may do."""

from dataclasses import dataclass

from gateway.access.models import ALL, Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """A client, by one of its keys. `client_id` and `name` go into the log as text."""

    client_id: str
    name: str
    key_prefix: str
    operations: frozenset[str]
    sources: frozenset[str]
    scopes: frozenset[str] = frozenset()

    @classmethod
    def without_key(cls, name: str) -> "Principal":
        """Whoever is on the gateway's machine, or a person whose role in the admin allows it: no client, and no operation or source is closed."""
        return cls("", name, "", frozenset({ALL}), frozenset({ALL}))

    def may_use(self, operation: str) -> bool:
        """Whether the operation is among its own."""
        return ALL in self.operations or operation in self.operations

    def may_send_to(self, source: str) -> bool:
        """Whether the source is among its own. The id counts exactly as written."""
        return ALL in self.sources or source in self.sources

    @property
    def may_send_to_all(self) -> bool:
        """Whether no source is closed to it."""
        return ALL in self.sources

    @property
    def sees_all_calls(self) -> bool:
        """Whether it may read the calls of others."""
        return Scope.AUDIT in self.scopes

    @property
    def own_calls(self) -> dict[str, str]:
        """The filter of calls that keeps it to those it may see."""
        return {} if self.sees_all_calls else {"client": self.client_id}
