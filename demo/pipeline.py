"""The digits pipeline as its user sees it: data to deliver, runs that follow, an endpoint to ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from contract import outcomes
from contract.histories import Execution
from ratchet.account import Account
from ratchet.following import Follower, Launched
from ratchet.runs import Run, RunTable

# A delivery's event reaches the launcher within a second or two; much later, something is broken.
TRIGGER_SECONDS = 60.0
POLL_SECONDS = 0.1


class DemoError(Exception):
    """The story took another turn than it should; the message says which."""


@dataclass(frozen=True)
class Pipeline:
    """One deployed pipeline of an environment."""

    account: Account
    name: str

    @property
    def bucket(self) -> str:
        return self.account.shared()["DataBucketName"]

    def deliver(self, files: dict[str, str]) -> None:
        """Puts objects into the data bucket: key -> text."""
        for key, text in files.items():
            self.account.client("s3").put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def keys(self, prefix: str) -> list[str]:
        pages = self.account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def remove(self, keys: list[str]) -> None:
        for key in keys:
            self.account.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def champion(self) -> dict[str, Any] | None:
        return RunTable(self.account).state(self.name).get("champion")

    def newest_run_id(self) -> str:
        runs = RunTable(self.account).runs(self.name, limit=1)
        return runs[0].run_id if runs else ""

    def wait_until_idle(self, seconds: float = 0.0) -> None:
        """Waits until no run has been on its way, and no trigger has waited for one, for so long."""
        table = RunTable(self.account)
        since = time.monotonic()
        while True:
            if _busy(table.state(self.name)):
                since = time.monotonic()
            elif time.monotonic() - since >= seconds:
                return
            time.sleep(POLL_SECONDS)

    def judged_after(self, before: str, look: Callable[[str, Execution], None]) -> Run:
        """The one run after `before` that judged a model, or the first that failed, when nothing further waits.

        Raises:
            DemoError: no run started, or more or fewer than one judged a model.
        """
        running = self._started_after(before)
        launched = Launched("pending", running["run_id"], running["execution_arn"])
        Follower(self.account, self.name, look).to_the_end(launched)
        self.wait_until_idle()
        table = RunTable(self.account)
        runs = [
            run for run in table.runs(self.name, limit=10) if run.run_id > before and run.outcome not in outcomes.IDLE
        ]
        failed = [run for run in runs if run.failed]
        if not failed and len(runs) != 1:
            told = ", ".join(f"{run.run_id} {run.outcome}" for run in runs)
            raise DemoError(f"{len(runs)} runs judged a model ({told}); one was to")
        return failed[-1] if failed else runs[0]

    def _started_after(self, before: str) -> dict[str, Any]:
        table = RunTable(self.account)
        deadline = time.monotonic() + TRIGGER_SECONDS
        while time.monotonic() < deadline:
            running = table.state(self.name).get("running")
            if running and running["run_id"] > before:
                return dict(running)
            time.sleep(POLL_SECONDS)
        raise DemoError(f"data arrived, but no run of {self.name} started within {TRIGGER_SECONDS:.0f} s")

    def asker(self) -> Callable[[str], str]:
        """A function that asks the endpoint: one text/csv line -> its answer. No retries: what fails, fails."""
        runtime = self.account.session.client(
            "sagemaker-runtime",
            endpoint_url=self.account.endpoint_url,
            config=Config(retries={"total_max_attempts": 1}, proxies={} if self.account.endpoint_url else None),
        )
        endpoint = self.account.pipeline(self.name)["EndpointName"]

        def ask(body: str) -> str:
            answer = runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType="text/csv", Accept="text/csv", Body=body.encode()
            )
            return str(answer["Body"].read().decode().strip())

        return ask


def _busy(state: Any) -> bool:
    return bool(state.get("running") or state.get("pending"))
