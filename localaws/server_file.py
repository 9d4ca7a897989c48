"""`server.json` in the state folder: where a running embedded AWS is found, and its root key.

The server writes the file when it answers and removes it when it stops; everybody else only reads it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from localaws.database import DamagedStateError

ACCOUNT = "000000000000"
REGION = "us-east-1"
DEFAULT_PORT = 4566

# Exit codes of the server.
EXIT_STATE_IN_USE = 3
EXIT_PORT_TAKEN = 4
EXIT_STATE_DAMAGED = 5
EXIT_NO_ROOM = 6

_KEY_ALPHABET = string.ascii_uppercase + "234567"
_KEY_PREFIX = "LOCALAWS"
_KEY_ADVICE = "Put it back from a copy; or delete it to get a new key, which signs everybody out"


@dataclass(frozen=True)
class Server:
    """One running embedded AWS.

    sagemaker_sdk_settings: the file that keeps the SageMaker SDK here. started_at: ISO 8601 in UTC. log: the file that
    it writes to.
    """

    pid: int
    port: int
    endpoint_url: str
    region: str
    account: str
    access_key_id: str
    secret_access_key: str
    sagemaker_sdk_settings: str
    started_at: str
    log: str


@dataclass(frozen=True)
class RootKey:
    """The access key of the account's root user."""

    access_key_id: str
    secret_access_key: str


def server_file(state: Path) -> Path:
    return state / "server.json"


def read_server(state: Path) -> Server | None:
    """The server that the file tells of, or None where there is no file or it isn't whole."""
    try:
        document = json.loads(server_file(state).read_text())
        return Server(**{field.name: document[field.name] for field in dataclasses.fields(Server)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_server(state: Path, server: Server) -> None:
    write_private(server_file(state), json.dumps(dataclasses.asdict(server), indent=1))


def root_key(state: Path) -> RootKey:
    """This state's own access key, made at random when it is first asked for.

    Its id must not be another account's: the CDK command line caches which account a key belongs to.
    """
    path = state / "root_key.json"
    if path.exists():
        return _read_key(path)
    key = RootKey(_KEY_PREFIX + _random(12, _KEY_ALPHABET), secrets.token_urlsafe(30))
    write_private(path, json.dumps(dataclasses.asdict(key)), synced=True)
    return key


def _read_key(path: Path) -> RootKey:
    try:
        key = RootKey(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DamagedStateError(f"{path}: it can't be read ({error}). {_KEY_ADVICE}") from error
    if not (isinstance(key.access_key_id, str) and key.access_key_id.startswith(_KEY_PREFIX) and key.secret_access_key):
        raise DamagedStateError(f"{path}: it holds no access key. {_KEY_ADVICE}")
    return key


def last_port(state: Path) -> int:
    """The port of the last time, which deployed functions may have in their variables; 0 where there was none.

    Raises DamagedStateError where it can't be told.
    """
    path = state / "port"
    try:
        text = path.read_text()
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        text = str(error)
    if not (text.isascii() and text.strip().isdigit() and 0 < int(text) < 1 << 16):
        raise DamagedStateError(
            f"{path}: no port ({text[:40]!r}). Functions that are deployed may know the port of the last time: "
            "write it there; or delete the file to start on another"
        )
    return int(text)


def write_port(state: Path, port: int) -> None:
    path = state / "port"
    if not path.exists() or path.read_text() != str(port):
        write_private(path, str(port), synced=True)


def write_private(path: Path, text: str, *, synced: bool = False) -> None:
    """Replace a file in one step; only its owner may read it. `synced`: it is there after a loss of power, too."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        if synced:
            os.fsync(descriptor)
    new.replace(path)


def _random(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
