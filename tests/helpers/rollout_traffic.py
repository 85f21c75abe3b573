# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of training steps as verl's agent loops send them, to verl's own load balancer or this recipe's router."""

import heapq
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from verl.workers.rollout.router import GlobalRequestLoadBalancer

from recipe.medgrpo.trainer.router import PromptRouter


def stock(replicas: int) -> GlobalRequestLoadBalancer:
    """verl's own."""
    return GlobalRequestLoadBalancer({f"replica {i}": None for i in range(replicas)})


def router(replicas: int, group_size: int) -> PromptRouter:
    """This recipe's, which reads the group size from a replica otherwise."""
    made = PromptRouter({f"replica {i}": None for i in range(replicas)}, {})
    made._group_size = group_size
    return made


@dataclass
class Traffic:
    """What was seen while requests came and went.

    Args:
        servers: all replicas.
        homes: replicas of each prompt.
        prompt_tokens: of the prompts that a replica saw, each counted once.
        answer_tokens: of a replica's answers.
        in_flight: requests of each replica, each time one was added.
    """

    servers: list[str]
    homes: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    prompt_tokens: Counter = field(default_factory=Counter)
    answer_tokens: Counter = field(default_factory=Counter)
    in_flight: list[dict[str, int]] = field(default_factory=list)

    @property
    def replicas_per_group(self) -> float:
        return sum(map(len, self.homes.values())) / len(self.homes)

    @property
    def peaks(self) -> Counter:
        """Most requests in flight on each replica."""
        return Counter({server: max(seen[server] for seen in self.in_flight) for server in self.servers})

    def max_over_mean(self, counts: Counter) -> float:
        return max(counts.values()) * len(self.servers) / counts.total()


@dataclass(frozen=True)
class Prompt:
    """Its token ids, when its clip is ready, and the tokens of each of its answers (one a second)."""

    ids: list[int]
    ready: float
    lengths: list[int]


def prompts(number: int, group_size: int, seed: int, seconds: float = 30.0) -> list[Prompt]:
    """Prompts of 300 to 7,600 tokens, answers of 10 to 500; half of their spread is their prompt's, half their own."""
    draw, made = random.Random(seed), []
    for index in range(number):
        typical = draw.lognormvariate(4.3, 0.7)
        lengths = [max(10, min(500, round(typical * draw.lognormvariate(0, 0.7)))) for _ in range(group_size)]
        made.append(Prompt([index] * draw.randrange(300, 7600), draw.uniform(0, seconds), lengths))
    return made


def send(balancer: GlobalRequestLoadBalancer, step: list[Prompt]) -> Traffic:
    """One step: a prompt's answers are asked for within a second after its clip is ready; they end by themselves."""
    seen = Traffic(balancer.get_all_servers())
    draw, running = random.Random(len(step)), {}
    events = [
        (prompt.ready + draw.random(), number, answer)
        for number, prompt in enumerate(step)
        for answer in range(len(prompt.lengths))
    ]
    heapq.heapify(events)
    while events:
        now, number, answer = heapq.heappop(events)
        request, prompt = (number, answer), step[number]
        if request in running:
            balancer.release_server(running.pop(request))
            continue
        wanted = {"prompt_ids": prompt.ids} if balancer.require_acquire_fields() else {}
        server, _ = balancer.acquire_server(f"{id(step)} {request}", **wanted)
        running[request] = server
        heapq.heappush(events, (now + prompt.lengths[answer], number, answer))
        if server not in seen.homes[number]:
            seen.homes[number].add(server)
            seen.prompt_tokens[server] += len(prompt.ids)
        seen.answer_tokens[server] += prompt.lengths[answer]
        seen.in_flight.append(dict(balancer.get_status()["servers"]))
    return seen
