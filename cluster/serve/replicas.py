"""Replicas: those of one memory in Ray Serve, as the HTTP front asks them.

Covers: starting, asking, health, ending; which of Ray's errors mean that a replica is lost. Does not cover: what a
replica does (replica.py), HTTP (memo_dist/http).
"""

import asyncio
import logging
import uuid
from pathlib import Path
from typing import Any

from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, WorkerCrashedError
from ray.serve.exceptions import RayServeException

from cluster.bank_servers.owners import BankServers
from cluster.serve.replica import replicas_of
from memo_dist.http.asks import Ask
from memo_dist.http.errors import ReplicaLostError

_LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, RayServeException)


class ServeReplicas:
    """The replicas of one memory in Ray Serve; see memo_dist.http.front.Replicas."""

    def __init__(self) -> None:
        # fronts on several machines of one cluster may serve one name at one port
        self._app, self._begun = f"memo-dist-{uuid.uuid4().hex}", False
        self._checked: asyncio.Task[int] | None = None

    def start(self, path: Path, count: int, most_tokens: int, *, servers: BankServers | None = None) -> None:
        """Start `count` replicas, which take prompts of `most_tokens`; returns when every replica is up.

        Args:
            servers: that have the memory's ranges; None: every replica opens all of it.
        """
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(proxy_location="Disabled")
        self._begun = True
        made = replicas_of(path, count, most_tokens, servers=servers)
        self._handle: Any = serve.run(made, name=self._app, route_prefix=None)

    def ask(self, ask: Ask) -> "asyncio.Future[Any]":
        """The answer to an ask, or a Refusal.

        Raises:
            ReplicaLostError: the replica that was asked is gone.
        """
        return asyncio.ensure_future(_result(self._handle.ask.remote(ask)))

    async def healthy(self) -> int:
        """How many replicas are up."""
        if self._checked is None or self._checked.done():  # whoever asks meanwhile, without a key, shares it
            self._checked = asyncio.create_task(self._running())
        return await asyncio.shield(self._checked)

    async def _running(self) -> int:
        status = await asyncio.to_thread(serve.status)
        deployments = status.applications[self._app].deployments.values() if self._app in status.applications else ()
        # a ReplicaState or its name, by what Ray was asked before; they are equal
        return sum(n for one in deployments for state, n in one.replica_states.items() if state == "RUNNING")

    def end(self) -> None:
        """Take the replicas away; what else the cluster serves stays, and a local Ray ends with its session."""
        if self._begun:
            serve.delete(self._app)


async def _result(response: Any) -> Any:
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except _LOST as error:
        raise ReplicaLostError(type(error).__name__) from error
