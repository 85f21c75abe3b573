# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""All answers of a prompt come from one vLLM replica, through verl's hook ``rollout.router_config_path``.

verl 0.9.1 sends each request to the replica with the fewest in flight, so a group is scattered: each replica then
processes the group's clip, and computes its prompt, anew.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import ray
from verl.workers.rollout.router import DEFAULT_ROUTING_CACHE_SIZE, GlobalRequestLoadBalancer


@dataclass
class _Group:
    """Answers of one prompt: their replica, and how many of them have not been asked for yet."""

    server: str
    coming: int


class PromptRouter(GlobalRequestLoadBalancer):
    """verl's balancer, which asks by prompt instead of by answer for the replica with the least to do.

    A new group goes to the replica with the fewest answers: those in flight, and those that its other groups will still
    send. So no replica gets a group while it has more to do than the mean of all, however long answers take. Among
    equals it is the one with the fewest prompt tokens. Two rows with the same tokens (one question about two clips of
    one size) count as two groups.

    Nothing is remembered of a complete group, and nothing of any other once no answer is in flight.

    Args:
        servers: replicas, as verl gives them.
        config: the file that ``rollout.router_config_path`` names.
    """

    def __init__(self, servers: dict, config: dict):
        super().__init__(servers)
        self._groups: dict[int, _Group] = {}
        self._coming, self._prompt_tokens = Counter(), Counter()

    def require_acquire_fields(self) -> list[str]:
        return ["prompt_ids"]

    def acquire_server(self, request_id: str, prompt_ids: Sequence[int]) -> tuple:
        # A request that comes again was interrupted: it has its replica already, and a longer prompt.
        if self._servers and request_id not in self._request_id_to_server:
            self._request_id_to_server[request_id] = self._server_of(prompt_ids)
        return super().acquire_server(request_id)

    def remove_servers(self, server_ids: list[str]) -> None:
        super().remove_servers(server_ids)
        self._forget()

    def clear_sticky_cache(self) -> dict:
        self._forget()
        return super().clear_sticky_cache()

    @cached_property
    def _group_size(self) -> int:
        server = next(iter(self._servers.values()))
        return ray.get(server.get_rollout_config.remote()).n

    def _server_of(self, prompt_ids: Sequence[int]) -> str:
        if not self.get_total_inflight():
            self._forget()
        prompt = hash(tuple(prompt_ids))
        group = self._groups.pop(prompt, None) or self._new_group(len(prompt_ids))
        group.coming -= 1
        self._coming[group.server] -= 1
        if group.coming:
            self._groups[prompt] = group
        if len(self._groups) > DEFAULT_ROUTING_CACHE_SIZE:
            # In validation a prompt has fewer answers than a group.
            oldest = self._groups.pop(next(iter(self._groups)))
            self._coming[oldest.server] -= oldest.coming
        return group.server

    def _new_group(self, prompt_tokens: int) -> _Group:
        server = min(self._servers, key=self._work)
        self._coming[server] += self._group_size
        self._prompt_tokens[server] += prompt_tokens
        return _Group(server, self._group_size)

    def _work(self, server: str) -> tuple[int, int]:
        return self._inflight_requests[server] + self._coming[server], self._prompt_tokens[server]

    def _forget(self) -> None:
        for known in (self._groups, self._coming, self._prompt_tokens):
            known.clear()
