"""The benchmark of shifting traffic on a small size: a canary's share, and a rollback, under load."""

from __future__ import annotations

from bench import traffic


def test_shares_and_rollbacks_are_measured() -> None:
    with traffic.world(pause=0.01) as at:
        (share,) = traffic.shifted(at, at.config("canary"), traffic.canary(10, 600), {1: 0.1})
        assert share.requests > 20
        assert share.error < 100 * 3 / share.requests, "as exact as four requests at once allow"
        assert traffic.rolled_back(at, at.config("bad", fails_every=5), 3600) < 2
        assert traffic.given_back(at, "first") > 0
        assert [failure for failure in at.load.failures if not failure.is_models_own] == []
