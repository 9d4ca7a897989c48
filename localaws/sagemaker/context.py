"""The things that every room of the SageMaker service is given: the AWS around it, the store, ways to be told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.containers.networks import Network, Networks
from localaws.sagemaker.containers.warm import WarmInterpreters
from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.changes import Changes
from localaws.sagemaker.core.clock import Clock, SystemClock
from localaws.sagemaker.core.events import Events
from localaws.sagemaker.core.store import Store
from localaws.sagemaker.core.wire import Wire
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, SpotMarket
from localaws.sagemaker.tuning.process import Tuner

Hook = Callable[[], None]

_log = logging.getLogger(__name__)


@dataclass
class Lifecycle:
    """Steps to take when the server is up again (`on_recover`) and when it stops (`on_close`)."""

    on_recover: list[Hook] = field(default_factory=list)
    on_close: list[Hook] = field(default_factory=list)

    def recover(self) -> None:
        """Run every recovery; one that fails doesn't keep the others from theirs."""
        _run_all(self.on_recover)

    def close(self) -> None:
        """Run every closing step, last registered first."""
        _run_all(list(reversed(self.on_close)))


def _run_all(hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            hook()
        except Exception:  # noqa: BLE001 - the others must have their turn; it is logged
            _log.exception("%s failed", hook)


@dataclass(frozen=True)
class Context:
    """Shared by all rooms.

    quotas: of instances, see `core.quotas`. without_capacity: types that are not to be had, see `core.scarcity`.
    rule_evaluator: the program that the image of Debugger's rules runs, see `debugger.rule_evaluation`, and the folders
    that it must see; empty where this SageMaker has none.
    networks: makes private networks for containers.
    clock, launch: the time, and how containers are started; a test brings its own.
    """

    platform: Platform
    store: Store
    images: Images
    tuner: Tuner
    events: Events
    changes: Changes
    wire: Wire
    lifecycle: Lifecycle
    spot_market: SpotMarket = QUIET_MARKET
    quotas: Mapping[str, int] = field(default_factory=dict)
    without_capacity: Collection[str] = ()
    rule_evaluator: Sequence[Path] = ()
    networks: Networks = field(default_factory=Networks)
    clock: Clock = field(default_factory=SystemClock)
    launch: Callable[[ContainerSpec], Container] = container.launch

    @classmethod
    def open(  # noqa: PLR0913 - what settings.json may say
        cls,
        platform: Platform,
        spot_market: SpotMarket = QUIET_MARKET,
        rule_evaluator: Sequence[Path] = (),
        quotas: Mapping[str, int] | None = None,
        *,
        is_warm: bool = True,
        without_capacity: Collection[str] = (),
    ) -> Context:
        """The context of a server, with its store under ``state_dir/sagemaker.sqlite``.

        is_warm: whether containers may begin in warm interpreters, see `containers.warm`.
        """
        store, images = Store(platform.state_dir / "sagemaker.sqlite"), Images(platform.image_dir)
        tuner, warm, networks = Tuner(images), WarmInterpreters(), Networks()
        return cls(
            platform=platform,
            store=store,
            images=images,
            tuner=tuner,
            events=Events(platform),
            changes=Changes(),
            wire=Wire(platform.endpoint_url, platform.region),
            lifecycle=Lifecycle(on_close=[store.close, tuner.close, warm.close, networks.close]),
            spot_market=spot_market,
            quotas=quotas or {},
            without_capacity=without_capacity,
            rule_evaluator=rule_evaluator,
            networks=networks,
            launch=warm.launch if is_warm else container.launch,
        )

    def arn(self, resource_type: str, name: str) -> str:
        """ARN of a SageMaker resource; `resource_type` as in ARNs, for example ``training-job``."""
        return f"arn:aws:sagemaker:{self.platform.region}:{self.platform.account}:{resource_type}/{name}"

    def open_network(self) -> Network:
        """A new private network, in which the AWS around SageMaker answers. Raises OSError where there can be none."""
        network = self.networks.open()
        try:
            network.answered_by(self.platform)
        except BaseException:
            network.close()
            raise
        return network

    def jobs_dir(self, resource_type: str) -> Path:
        """The directory of the files of all jobs of a kind."""
        return self.platform.state_dir / "jobs" / resource_type
