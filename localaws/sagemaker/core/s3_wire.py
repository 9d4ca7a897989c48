"""S3 over the wire with a role's credentials, in the few requests that jobs and models make.

A client of botocore's costs 5 ms of the processor, and 2 ms a request: much of what a small job costs here. This one
signs as "Signature Calculations for the Authorization Header" (S3 API reference) says, and nothing more.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from localaws.sagemaker.core.aws_platform import Credentials

_TIMEOUT = 60.0
_PAUSES = (0.1, 0.4)  # before it is asked once more
_TRANSIENT = frozenset({500, 502, 503, 504})
_WITH_BODY = frozenset({"PUT", "POST"})
_CHUNK = 1024 * 1024


class S3Error(Exception):
    """S3 has refused a request; `code` is that of its error document, or the status where there is none."""

    def __init__(self, status: int, document: bytes) -> None:
        found = _texts(document) if document else {}
        self.status, self.code, self.message = status, found.get("Code", str(status)), found.get("Message", "")
        super().__init__(f"{self.code} ({status}): {self.message}")


class NoAnswerError(Exception):
    """S3 hasn't answered, or not to the end."""


class Answer:
    """What S3 answers. Its body comes once."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def read(self, most: int | None = None) -> bytes:
        """The body, or its first `most` bytes. Raises NoAnswerError."""
        found = b""
        for chunk in self.chunks():
            found += chunk
            if most is not None and len(found) >= most:
                return found[:most]
        return found

    def chunks(self) -> Iterator[bytes]:
        """The body in parts. Raises NoAnswerError where it isn't whole."""
        try:
            while chunk := self._response.read(_CHUNK):
                yield chunk
        except (OSError, HTTPException) as error:
            raise NoAnswerError(_told(error)) from error
        if self._response.length:
            raise NoAnswerError(f"{self._response.length} bytes are missing")

    @property
    def etag(self) -> str:
        return self._response.getheader("ETag", "")

    @property
    def whole_size(self) -> int:
        """The bytes of the object of which this is a range, or the whole."""
        _, _, whole = self._response.getheader("Content-Range", "").partition("/")
        return int(whole or self._response.getheader("Content-Length", "0"))

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is left, so that its connection can be used again."""
        return self._response.isclosed()


@dataclass(frozen=True)
class Request:
    """A request to a bucket, or to one of its objects."""

    method: str
    bucket: str
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """As it is signed and sent."""
        return quote(f"/{self.bucket}/{self.key}" if self.key else f"/{self.bucket}", safe="/~")

    @property
    def words(self) -> str:
        """The query, likewise."""
        return "&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in sorted(self.query.items()))


class S3Wire:
    """S3 at one endpoint, by one role. Thread-safe."""

    def __init__(self, endpoint_url: str, region: str, credentials: Credentials) -> None:
        self._host = urlsplit(endpoint_url).netloc
        self._region = region
        self._credentials = credentials
        self._idle: list[HTTPConnection] = []  # to append and to pop are one step each
        self._key = ("", b"")

    @contextmanager
    def ask(self, request: Request) -> Iterator[Answer]:
        """Ask, again where that may help. Raises S3Error or NoAnswerError."""
        connection, response = self._answered(request)
        answer = Answer(response)
        try:
            yield answer
        finally:
            if answer.is_read and not response.will_close:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().close()

    def _answered(self, request: Request) -> tuple[HTTPConnection, HTTPResponse]:
        body = request.body if request.method in _WITH_BODY else None
        url = f"{request.path}?{request.words}" if request.query else request.path
        for pause in (*_PAUSES, None):
            connection = self._connection()
            try:
                connection.request(request.method, url, body, self._signed(request))
                response = connection.getresponse()
                if response.status < 300:
                    return connection, response
                refused = S3Error(response.status, response.read())
                connection.close()
                if pause is None or refused.status not in _TRANSIENT:
                    raise refused
            except (OSError, HTTPException) as error:
                connection.close()
                if pause is None:
                    raise NoAnswerError(_told(error)) from error
            time.sleep(pause)
        raise AssertionError

    def _connection(self) -> HTTPConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return HTTPConnection(self._host, timeout=_TIMEOUT)

    def _signed(self, request: Request) -> dict[str, str]:
        """The headers, with the signature of the request."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        content = hashlib.sha256(request.body).hexdigest()
        sent = {
            **request.headers,
            "host": self._host,
            "x-amz-content-sha256": content,
            "x-amz-date": stamp,
            "x-amz-security-token": self._credentials.session_token,
        }
        names = sorted(sent)
        signed = ";".join(names)
        headers = [f"{name}:{sent[name]}" for name in names]
        lines = [request.method, request.path, request.words, *headers, "", signed, content]
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        signature = hmac.new(self._signing_key(scope), text.encode(), "sha256").hexdigest()
        whose = f"Credential={self._credentials.access_key_id}/{scope}"
        told = f"AWS4-HMAC-SHA256 {whose}, SignedHeaders={signed}, Signature={signature}"
        return {**sent, "authorization": told}

    def _signing_key(self, scope: str) -> bytes:
        """The day's key."""
        known, key = self._key
        if known != scope:
            key = f"AWS4{self._credentials.secret_access_key}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (scope, key)
        return key


def elements(document: bytes, name: str) -> list[dict[str, str]]:
    """The texts of an XML document's elements of a name, each by its members' names."""
    found = ElementTree.fromstring(document)  # noqa: S314 - the embedded AWS's own
    return [{_bare(member.tag): member.text or "" for member in each} for each in found if _bare(each.tag) == name]


def members(document: bytes) -> dict[str, str]:
    """The texts of an XML document's members."""
    return {_bare(each.tag): each.text or "" for each in ElementTree.fromstring(document)}  # noqa: S314


def _texts(document: bytes) -> dict[str, str]:
    try:
        return members(document)
    except ElementTree.ParseError:
        return {"Message": document[:200].decode("utf-8", "replace")}


def _quoted(text: str) -> str:
    return quote(text, safe="~")


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
