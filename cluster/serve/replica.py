"""Replica: an Answerer in a Ray Serve replica, which batches what is asked at the same time.

Covers: the deployment. Does not cover: answering (memo_dist/http/answerer.py), routing and restarts (Ray
Serve).
"""

from pathlib import Path
from typing import Any

from ray import serve
from threadpoolctl import threadpool_limits

from cluster.bank_servers.following import FollowedServers
from cluster.bank_servers.owners import BankServers
from cluster.private_ray import serve_on_loopback
from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Ask, in_turns
from memo_dist.http.batcher import Batcher
from memo_dist.http.openai.choices import PromptAsk
from memo_dist.http.openai.completing import CompletionAsk
from memo_dist.recalling.options import RecallOptions
from memo_dist.remote.address import told_elsewhere

_TURN = 8192  # tokens answered together; a request of more takes turns with other requests
_ONGOING = 512  # requests a replica takes before others must wait
_HEALTH_SECONDS = 5.0


class Replica:
    """Answers asks.

    Args:
        path: the memory directory, which the replica's node must see, if there are no bank servers.
        most_tokens: the longest prompt, in tokens. servers: that have the memory's ranges; None: there are none.
    """

    def __init__(self, path: str, most_tokens: int, servers: BankServers | None = None) -> None:
        threadpool_limits(1)
        serve_on_loopback()
        answerer = Answerer(Path(path), most_tokens, None if servers is None else FollowedServers(servers))
        self._batcher: Batcher[Ask, Any] = Batcher(answerer.answer, _TURN, lambda ask: ask.weight)
        warm = PromptAsk(prompt=[0] * 4, options=RecallOptions(max_tokens=1, beam=1))
        answerer.answer([CompletionAsk([warm])])  # kernels are compiled, or read, now

    async def ask(self, ask: Ask) -> Any:
        """The answer to an ask, or a Refusal."""
        return await in_turns(ask, _TURN, self._batcher.ask)


def replicas_of(path: Path, count: int, most_tokens: int, *, servers: BankServers | None = None) -> serve.Application:
    """The application for serve.run: `count` replicas of a memory, which ask its bank servers, if there are any."""
    deployment: Any = serve.deployment(
        Replica,
        name="recall",
        num_replicas=count,
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=_ONGOING,
        health_check_period_s=_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
    )
    bound: serve.Application = deployment.bind(told_elsewhere(path), most_tokens, servers)
    return bound
