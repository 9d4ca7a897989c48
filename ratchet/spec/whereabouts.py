"""Whether this shell's AWS is the one that an environment means.

Templates never depend on it (see environments): it only refuses what would reach another AWS than its user believes.
"""

from __future__ import annotations

from collections.abc import Mapping

from contract import names
from ratchet.spec.environments import Environment
from ratchet.spec.errors import ConfigurationError

ENDPOINT, ENDPOINT_OF_SERVICE = "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_"
# The cdk command tells the app whose credentials it has found (CDK Developer Guide, "Environments").
CALLER = "CDK_DEFAULT_ACCOUNT"


def endpoint_variables(around: Mapping[str, str]) -> list[str]:
    """The variables that send AWS's programs elsewhere than to AWS (AWS SDKs Guide, "Service-specific endpoints")."""
    return sorted(name for name in around if name == ENDPOINT or name.startswith(ENDPOINT_OF_SERVICE) if around[name])


def check_whereabouts(environment: Environment, around: Mapping[str, str]) -> None:
    """Refuses an environment that this shell's variables don't lead to.

    An account is never reached by variables that name an endpoint: whoever means one (the laptop rehearsing `dev`, a
    VPC endpoint) writes it into a profile, where it can't be left over from another command.

    Raises:
        ConfigurationError: the message says which variable, and what to do.
    """
    if environment.name == names.LOCAL:
        _check_caller(environment, around.get(CALLER, ""))
        return
    found = endpoint_variables(around)
    if found:
        told = ", ".join(f"{name}={around[name]}" for name in found)
        raise ConfigurationError(
            f"the environment {environment.name} is an account of AWS's, but this shell points AWS's programs "
            f"elsewhere ({told}; `ratchet env` does that): use another shell, or `unset {' '.join(found)}` and the "
            "credentials beside them. An endpoint that is meant stands in a profile of ~/.aws/config, as endpoint_url"
        )


def _check_caller(environment: Environment, caller: str) -> None:
    if caller and environment.account and caller != environment.account:
        raise ConfigurationError(
            f"no environment was chosen, or {environment.name}: that is the embedded AWS, whose account is "
            f"{environment.account}, and these credentials are account {caller}'s. For an account of AWS's choose its "
            'environment: -c environment=dev. For the embedded AWS: eval "$(ratchet env)"'
        )
