"""Who calls a tool, as far as the transport tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.access.principal import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is the original caller's, "" on stdio. `headers` are the request's that REST would look at."""

    principal: Principal
    address: str
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    protocol: str = ""
