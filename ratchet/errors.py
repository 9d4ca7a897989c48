"""Errors as a command tells them to its user: a sentence instead of a traceback."""

from __future__ import annotations

FAILURE = 1
USAGE = 2  # click's own, for wrong options
RUN_FAILED = 3
INTERRUPTED = 130  # by Ctrl-C


class UserError(Exception):
    """Something that the user can put right; the message says what and how."""

    exit_code = FAILURE


def sentence(error: BaseException) -> str:
    """An exception of boto3's, or any other, as one sentence that says what to do where that is known."""
    known = _SENTENCES.get(type(error).__name__)
    if known:
        return known.format(error=error)
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _of_aws(response["Error"], getattr(error, "operation_name", "the request"))
    return str(error) or type(error).__name__


_SENTENCES = {
    "EndpointConnectionError": "AWS doesn't answer ({error}); locally: `ratchet up`",
    "ConnectionClosedError": "AWS closed the connection ({error}); locally: `ratchet status`, `ratchet up`",
    "NoCredentialsError": "there are no AWS credentials; log in (`aws sso login`) or set AWS_PROFILE",
    "PartialCredentialsError": "the AWS credentials aren't whole ({error})",
    "ProfileNotFound": "{error}; name one that is in ~/.aws/config with AWS_PROFILE",
    "SSOTokenLoadError": "the AWS login has ended; log in again with `aws sso login`",
    "UnauthorizedSSOTokenError": "the AWS login has ended; log in again with `aws sso login`",
    "TokenRetrievalError": "the AWS login has ended; log in again with `aws sso login`",
}


def _of_aws(error: dict[str, str], operation: str) -> str:
    code, message = error.get("Code", "Unknown"), error.get("Message", "")
    if code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return f"the AWS credentials have expired ({operation}); log in again"
    return f"{operation}: {code}: {message}"
