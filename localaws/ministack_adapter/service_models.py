"""AWS's service models, read once a server: MiniStack opens a botocore session, which lists all services, for each."""

from __future__ import annotations

from functools import cache
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws


def install(_aws: EmbeddedAws) -> None:
    from ministack.core import responses

    responses._service_model = _service_model


@cache
def _service_model(service: str) -> Any:
    """botocore's model of what MiniStack calls a service; None where there is none."""
    from botocore.exceptions import UnknownServiceError
    from ministack.core import responses

    try:
        return _session().get_service_model(responses._BOTOCORE_NAME.get(service, service))
    except UnknownServiceError:
        return None


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()
