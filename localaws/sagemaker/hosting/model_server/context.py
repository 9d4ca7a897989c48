"""The context of a request, with the members of TorchServe's (pytorch/serve, `ts/context.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Headers(dict[str, str]):
    """A request's headers, found by their name in any case, as HTTP has it."""

    def get(self, key: str, default: Any = None) -> Any:
        """The header's value."""
        return super().get(key.lower(), default)

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).lower())


class RequestProcessor:
    """One request's headers, and the status and headers of its answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._asked = Headers(headers)
        self._answered: dict[str, str] = {}
        self._status: tuple[int, str | None] = (200, None)

    def get_request_properties(self) -> Headers:
        """All headers of the request."""
        return self._asked

    def get_request_property(self, key: str) -> str | None:
        """A header of the request."""
        value: str | None = self._asked.get(key)
        return value

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the answer's status."""
        self._status = (code, reason_phrase)

    def get_response_status_code(self) -> int:
        """The answer's status."""
        return self._status[0]

    def get_response_status_phrase(self) -> str | None:
        """The phrase beside the answer's status."""
        return self._status[1]

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._answered[key.lower()] = value

    def get_response_headers(self) -> dict[str, str]:
        """The answer's headers so far."""
        return self._answered

    def get_response_header(self, key: str) -> str | None:
        """A header of the answer."""
        return self._answered.get(key.lower())


class Context:
    """What functions may take as their last argument; `idx` is 0, the one request of a batch."""

    def __init__(self, model_dir: str) -> None:
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "MMS",
            "server_version": "0.12.0",
            "limit_max_image_pixels": True,
        }
        self.request_processor: list[RequestProcessor] = []

    def begin(self, headers: Mapping[str, str]) -> None:
        """Take the next request."""
        self.request_processor = [RequestProcessor(headers)]

    def get_request_header(self, idx: int, key: str) -> str | None:
        """A header of the request."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> Headers:
        """All headers of the request."""
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the answer's content type; what a function returns beside its body comes after."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        """The answer's content type so far."""
        return self.request_processor[idx].get_response_header("content-type")

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of the answer."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """The answer's headers so far."""
        return self.request_processor[idx].get_response_headers()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the answer's status."""
        self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the status of all answers of the batch."""
        for processor in self.request_processor:
            processor.report_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """The answer's status and phrase."""
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()
