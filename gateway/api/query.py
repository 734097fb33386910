"""What a list is asked for, and where its next page is."""

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from gateway.api.problems import Problem


def given(parameters: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The query's parameters by their serializer. Raises Problem (400) for a name that it does not have, ValidationError."""
    names = parameters().fields
    if set(request.query_params) - set(names):
        raise Problem(400, "bad_parameter", f"There is no parameter of this name; there are {', '.join(names)}.")
    read = parameters(data=request.query_params.dict())
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)


def page_after(request: Request, last: uuid.UUID) -> str:
    """The address of the page that begins after this row."""
    parameters = request.query_params.copy()
    parameters["cursor"] = str(last)
    return request.build_absolute_uri(f"?{parameters.urlencode()}")
