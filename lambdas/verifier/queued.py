"""Questions to an asynchronous endpoint: each is laid into the run's folder, and its answer waited for in S3.

What it has answered is read and taken away again, so that only users' answers lie there. The answers don't name the
model that gave them: the header that does isn't written to S3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from common.artifacts import Artifacts

from contract import files
from contract.endpoint_kinds import VERIFYING
from verifier.questions import PROBLEM, TRIES, body, types

Document = dict[str, Any]
Judge = Callable[[str, Document], str | None]
"""The fault of an answer to a sample, None if it has none."""

# Of all questions together; the function's own time is longer.
WAIT_SECONDS = 240.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


class NoAnswerError(Exception):
    """The endpoint hasn't answered, or not with an answer; the text says why."""


@dataclass(frozen=True)
class Desk:
    """An asynchronous endpoint, and the run whose folder the questions are laid into."""

    runtime: Any
    run: Artifacts
    endpoint: str
    pause: Callable[[float], None] = time.sleep

    def ask_all(self, samples: Sequence[Document], judge: Judge) -> tuple[str | None, list[str | None]]:
        """The first fault of the endpoint's answers, and a None for each that was right: none names its model."""
        deadline = time.monotonic() + WAIT_SECONDS
        for number, sample in enumerate(samples, start=1):
            try:
                wrong = judge(self._answered(number, sample, deadline), sample)
            except NoAnswerError as error:
                wrong = str(error)[:PROBLEM]
            if wrong:
                return f"example {number} of {len(samples)}: {wrong}", [None] * (number - 1)
        return None, [None] * len(samples)

    def _answered(self, number: int, sample: Document, deadline: float) -> str:
        """The answer; a model error is given a few tries to pass. NoAnswerError."""
        run, name, answer = self.run, f"{files.VERIFYING}/{number}", ""
        run.client.put_object(Bucket=run.bucket, Key=run.key(name), Body=body(sample))
        for attempt in range(1, TRIES + 1):
            accepted = self.runtime.invoke_endpoint_async(
                EndpointName=self.endpoint,
                InputLocation=run.uri(name),
                InferenceId=f"{VERIFYING}{run.run_id}-{number}-{attempt}",
                **types(sample),
            )
            answer, failed = self._read(accepted, deadline)
            if not failed:
                return answer
        raise NoAnswerError(f"the model answered with an error: {answer}")

    def _read(self, accepted: Document, deadline: float) -> tuple[str, bool]:
        """What lies at one of the answer's two places, once it does, and whether it is the failure's."""
        seconds = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            for place, failed in (("OutputLocation", False), ("FailureLocation", True)):
                found = _taken(self.run.client, accepted[place])
                if found is not None:
                    return found, failed
            self.pause(seconds)
            seconds = min(1.5 * seconds, LONGEST_PAUSE_SECONDS)
        raise NoAnswerError(f"no answer within {WAIT_SECONDS:g} s; the endpoint's log says what it is busy with")


def _taken(s3: Any, uri: str) -> str | None:
    """An object's text, which is deleted; None where there is none."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        text: str = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace")
    except s3.exceptions.NoSuchKey:
        return None
    s3.delete_object(Bucket=bucket, Key=key)
    return text
