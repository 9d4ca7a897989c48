"""An endpoint under load while its traffic shifts: a canary, linearly, by rolling, back by an alarm, back by hand.

requests          sent without pause by four threads while five updates are made
failed            of them, all but those that the bad challenger itself answered with an error
weight_error      the largest difference between the share of requests that a new fleet was to have at a step and
                  the one that it had, in points
rollback_seconds  from the bad challenger's first error until the old fleet answers everything, less the alarm's period
champion_seconds  from UpdateEndpoint back to an earlier configuration until that answers everything
step_requests     the fewest requests from which a step's share was taken

On an embedded AWS of its own whose waits pass sixty times as fast, on an endpoint of four instances.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from bench import harness
from bench.load import Load
from infra.images import images
from localaws import supervisor
from localaws.server_file import Server
from ratchet import spec

Say = Callable[[str], None]

SCALE, PERIOD = 60, 60
ENDPOINT, VARIANT, INSTANCES, THREADS = "traffic", "AllTraffic", 4, 4
BAKE, SMALL_BAKE = 2400, 480
LOOKS = 3  # at a bake, of which the first may have begun before it
POLL_SECONDS, REST_SECONDS = 0.1, 0.5
SETTLE_SECONDS = 900.0
SERVE = """
import itertools, json, pathlib
calls = itertools.count(1)

def model_fn(folder):
    return json.loads(pathlib.Path(folder, "orders.json").read_text())

def transform_fn(orders, body, content_type, accept):
    if orders["fails_every"] and next(calls) % orders["fails_every"] == 0:
        raise RuntimeError("out of luck")
    return json.dumps({"model": orders["name"]}), "application/json"
"""
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {
    "Effect": "Allow",
    "Action": ["s3:GetObject", "logs:CreateLog*", "logs:PutLogEvents", "cloudwatch:DescribeAlarms"],
    "Resource": "*",
}
PERCENT = "CAPACITY_PERCENT"


def canary(percent: int, bake: int) -> harness.Document:
    routing = {"Type": "CANARY", "CanarySize": {"Type": PERCENT, "Value": percent}, "WaitIntervalInSeconds": bake}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def linear(percent: int, bake: int) -> harness.Document:
    routing = {"Type": "LINEAR", "LinearStepSize": {"Type": PERCENT, "Value": percent}, "WaitIntervalInSeconds": bake}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def rolling(percent: int, bake: int) -> harness.Document:
    batch = {"Type": PERCENT, "Value": percent}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": bake}}


@dataclass
class World:
    """The embedded AWS, and what is deployed to it."""

    server: Server
    image: str
    load: Load = field(init=False)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint_url,
            region_name=self.server.region,
            aws_access_key_id=self.server.access_key_id,
            aws_secret_access_key=self.server.secret_access_key,
        )

    def prepare(self, pause: float) -> None:
        """A bucket and a role, and the first champion in service."""
        self.sagemaker, self._s3, iam = self.client("sagemaker"), self.client("s3"), self.client("iam")
        self._s3.create_bucket(Bucket=ENDPOINT)
        version = {"Version": "2012-10-17"}
        trust, policy = (json.dumps({**version, "Statement": [statement]}) for statement in (TRUST, MAY))
        self._role = iam.create_role(RoleName=ENDPOINT, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName=ENDPOINT, PolicyName="all", PolicyDocument=policy)
        self.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=self.config("first"))
        if (found := self.settled())["EndpointStatus"] != "InService":
            raise SystemExit(f"the endpoint is {found['EndpointStatus']}: {found.get('FailureReason')}")
        self.load = Load(self.server, ENDPOINT, THREADS, pause)

    def config(self, name: str, fails_every: int = 0) -> str:
        """An endpoint configuration of a model that answers with its name."""
        orders = json.dumps({"name": name, "fails_every": fails_every})
        archive = harness.archive({"orders.json": orders, "code/serve.py": SERVE})
        self._s3.put_object(Bucket=ENDPOINT, Key=f"{name}.tar.gz", Body=archive)
        container = {
            "Image": self.image,
            "ModelDataUrl": f"s3://{ENDPOINT}/{name}.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "serve.py"},
        }
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self._role)
        variant = {"VariantName": VARIANT, "ModelName": name, "InitialInstanceCount": INSTANCES,
                   "InstanceType": "ml.m5.large"}  # fmt: skip
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def alarm(self, config: str) -> str:
        """An alarm on the errors of one configuration's fleet."""
        named = {"EndpointName": ENDPOINT, "VariantName": VARIANT, "EndpointConfigName": config}
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=config,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[{"Name": name, "Value": value} for name, value in named.items()],
            Statistic="Average",
            Period=PERIOD,
            EvaluationPeriods=1,
            Threshold=0.01,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
        return config

    def update(self, config: str, deployment: harness.Document | None = None) -> Iterator[harness.Document]:
        """UpdateEndpoint, and then the endpoint's description until nothing is in progress."""
        more = {"DeploymentConfig": deployment} if deployment else {}
        self.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=config, **more)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            found = dict(self.sagemaker.describe_endpoint(EndpointName=ENDPOINT))
            yield found
            if found["EndpointStatus"] != "Updating":
                return
            time.sleep(POLL_SECONDS)
        raise SystemExit(f"the endpoint was still {found['EndpointStatus']} after {SETTLE_SECONDS:g} s")

    def settled(self) -> harness.Document:
        while (found := dict(self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)))["EndpointStatus"] == "Creating":
            time.sleep(POLL_SECONDS)
        return found


@contextmanager
def world(pause: float = 0.0) -> Iterator[World]:
    """An embedded AWS of its own, under load; `pause`: seconds between two requests of a thread."""
    image = images(spec.load(harness.ROOT / "training_code" / "iris_tree" / "pipeline.yaml"), "us-east-1").hosting
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        state = Path(folder)
        (state / "settings.json").write_text(json.dumps({"clock_scale": SCALE}))
        made = World(supervisor.start(state, port=0, images=harness.IMAGES), image)
        try:
            made.prepare(pause)
            with made.load:
                yield made
        finally:
            supervisor.stop(state)


# --- measuring


@dataclass(frozen=True)
class Share:
    """What a new fleet was to have of a step's requests, and what it had of how many."""

    asked: float
    had: float
    requests: int

    @property
    def error(self) -> float:
        """In points."""
        return 100 * abs(self.had - self.asked)


def shifted(at: World, config: str, deployment: harness.Document, shares: Mapping[int, float]) -> list[Share]:
    """The shares of a whole shift's steps; `shares`: what is asked of a step, by its instances with traffic."""
    seen: dict[int, list[float]] = {}
    asked_at = time.time()
    for found in at.update(config, deployment):
        if (active := _baking(found)) in shares:
            seen.setdefault(active, []).append(asked_at)
        asked_at = time.time()
    if found["EndpointConfigName"] != config:
        raise SystemExit(f"{config} was rolled back: {found.get('FailureReason')}")
    if unseen := [active for active in shares if len(seen.get(active, [])) < LOOKS]:
        raise SystemExit(f"{config}: the bake of {unseen[0]} instance(s) was over too soon; this machine is too busy")
    return [_share(at.load, config, shares[active], moments[1:]) for active, moments in seen.items()]


def _baking(found: harness.Document) -> int:
    """How many new instances have traffic while they bake; 0 while they don't."""
    variant = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])[0]
    is_baking = variant.get("VariantStatus", [{}])[0].get("Status") == "Baking"
    return int(variant["CurrentInstanceCount"]) if is_baking else 0


def _share(load: Load, config: str, asked: float, moments: list[float]) -> Share:
    during = Counter(who for at, who in list(load.answers) if moments[0] < at < moments[-1])
    return Share(asked, during[config] / max(during.total(), 1), during.total())


def rolled_back(at: World, config: str, bake: int) -> float:
    """Seconds from the bad challenger's first error until the old fleet has everything, beyond the alarm's period."""
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": at.alarm(config)}]}}
    found = list(at.update(config, {**canary(10, bake), **alarms}))[-1]
    if found["EndpointConfigName"] == config or found["EndpointStatus"] != "InService":
        raise SystemExit(f"{config} wasn't rolled back: {found['EndpointStatus']}")
    time.sleep(REST_SECONDS)
    errors = [failure.at for failure in at.load.failures if failure.is_models_own]
    last = max([*errors, *(moment for moment, who in at.load.answers if who == config)])
    return max(0.0, last - errors[0] - PERIOD / SCALE)


def given_back(at: World, champion: str) -> float:
    """Seconds until an earlier configuration answers everything again."""
    began = time.time()
    list(at.update(champion))
    time.sleep(REST_SECONDS)
    return max(moment for moment, who in at.load.answers if who != champion) - began


def measure(small: bool, say: Say) -> harness.Document:
    """All five updates, one after the other."""
    bake = SMALL_BAKE if small else BAKE
    quarters = {1: 0.25, 2: 0.5, 3: 0.75}
    with world() as at:
        shares = shifted(at, at.config("canary"), canary(10, bake), {1: 0.1})
        say(f"canary: {shares[0].had:.3f} of {shares[0].requests} requests")
        for name, deployment in (("linear", linear(25, bake)), ("rolling", rolling(25, bake))):
            shares += (steps := shifted(at, at.config(name), deployment, quarters))
            say(f"{name}: {', '.join(f'{step.had:.3f}' for step in steps)} of {min(s.requests for s in steps)} or more")
        rollback = rolled_back(at, at.config("bad", fails_every=20), bake)
        say(f"the bad challenger is gone {rollback:.2f} s beyond its alarm's period")
        champion = given_back(at, "canary")
        say(f"the old champion answers everything after {champion:.2f} s")
        load = at.load
    failed = [failure for failure in load.failures if not failure.is_models_own]
    for failure in failed[:3]:
        say(f"{failure.status}: {failure.body[:200]!r}")
    return {
        "figures": {
            "requests": load.sent,
            "failed": len(failed),
            "weight_error": round(max(share.error for share in shares), 3),
            "rollback_seconds": round(rollback, 3),
            "champion_seconds": round(champion, 3),
            "step_requests": min(share.requests for share in shares),
        },
        "samples": {"weight_error": [share.error for share in shares]},
    }


def main() -> int:
    return harness.run("traffic", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
