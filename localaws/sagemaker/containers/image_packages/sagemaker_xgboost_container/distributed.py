"""Training on the hosts of a job (aws/sagemaker-xgboost-container, distributed.py); a job has one host here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any


def rabit_run(  # noqa: PLR0913, PLR0917 - AWS's parameters
    exec_fun: Callable[..., Any],
    args: dict[str, Any],
    include_in_training: bool,
    hosts: Sequence[str],
    current_host: str,
    first_port: int | None = None,
    second_port: int | None = None,
    max_connect_attempts: int | None = None,
    connect_retry_timeout: int = 10,
    update_rabit_args: bool = False,
) -> None:
    """Call `exec_fun` with `args`, and with `is_master` where `update_rabit_args` asks for it; exit 0 without data."""
    del first_port, second_port, max_connect_attempts, connect_retry_timeout  # of connections between hosts
    if len(hosts) > 1:
        raise NotImplementedError(f"rabit_run on several hosts isn't supported here: {', '.join(hosts)}")
    if not include_in_training:
        logging.warning("Host %s not being used for distributed training.", current_host)
        sys.exit(0)
    if update_rabit_args:
        args.update({"is_master": True})
    exec_fun(**args)
