# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's replay buffers for verl's hook ``trainer.v1.sampler.custom_sampler``, sync and colocate_async.

In addition to what verl's does, it takes groups with too few scored answers out of a batch and logs every step's
rewards per (source, task). It lets running normalization follow the policy, and stops a run that has collapsed.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

import ray
import transfer_queue as tq
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer, ReplayBufferAsync

from recipe.medgrpo.common.run_log import keep_messages
from recipe.medgrpo.trainer import judge_limiter, lost_media
from recipe.medgrpo.trainer.ema_normalizer import Checkpoints, RunningNormalizer
from recipe.medgrpo.trainer.step_metrics import (
    AlarmOptions,
    CollapseAlarm,
    CollapseError,
    ScoredAnswer,
    answers_of,
    dropped_by_cause,
    dropped_by_pair,
    judge_failures_by_pair,
    step_metrics,
    write_scores,
)
from reward_score import ScoreConfig
from reward_score.judge.config import complaints

logger = logging.getLogger(__name__)

#: One answer has nothing to be compared with; verl would give it its raw reward for an advantage.
MIN_SURVIVORS = 2
#: Batches of prompts that may be replaced in one step because none of their answers has a score.
MAX_REPLACED = 3
#: Batches of prompts that may be thrown away in one step because their answers are all rewarded alike, where
#: ``algorithm.filter_groups.max_num_gen_batches`` sets no limit. With ten, 9 of 10 prompts may be without a gradient.
MAX_FILTERED = 10


class SamplerError(RuntimeError):
    """The options under ``trainer.v1.sampler.sampler_kwargs`` make no sense, or a step has nothing to train on."""


class WorkerLost(RuntimeError):
    """Training was stopped because a process that answers prompts has ended; the message names it."""


class SamplerOptions(BaseModel):
    """``trainer.v1.sampler.sampler_kwargs``; `config/medgrpo.yaml` fills them from the rest of the configuration.

    Args:
        poll_interval: seconds between two looks whether the batch is complete.
        group_size: answers asked for per prompt.
        train_batch_size: prompts per step.
        filter_groups: verl's ``algorithm.filter_groups``, which verl itself does not hand to a custom sampler.
            Its ``max_num_gen_batches``, which verl's own V1 sampler ignores, ends a step (0: `MAX_FILTERED`).
        sync_refill_failed_groups: verl's ``trainer.v1.sampler.sync_refill_failed_groups``, likewise: prompts of which
            no answer has a score are replaced.
        alarm: when the run counts as collapsed.
        reward: options of ``reward_score``.
        checkpoints: the folder, and how verl resumes from it.
    """

    model_config = ConfigDict(extra="forbid")

    poll_interval: float
    group_size: int
    train_batch_size: int
    filter_groups: dict
    sync_refill_failed_groups: bool
    alarm: AlarmOptions
    reward: ScoreConfig
    checkpoints: Checkpoints


class _Sampling:
    """What this recipe adds to either of verl's replay buffers, with :class:`SamplerOptions`."""

    def __init__(self, *args, sampler_kwargs: DictConfig, **kwargs):
        try:
            options = SamplerOptions(**OmegaConf.to_container(sampler_kwargs, resolve=True))
        except (ValidationError, TypeError) as error:
            raise SamplerError(f"trainer.v1.sampler.sampler_kwargs: {complaints(error)}") from None
        filter_groups = options.filter_groups
        if filter_groups["enable"] and not filter_groups["metric"]:
            raise SamplerError("algorithm.filter_groups.metric must be set when algorithm.filter_groups.enable=true")
        super().__init__(
            *args,
            sampler_kwargs=sampler_kwargs,
            poll_interval=options.poll_interval,
            filter_groups_metric=filter_groups["metric"] if filter_groups["enable"] else None,
            train_batch_size=options.train_batch_size,
            # verl's data loader then gives single prompts too.
            gen_batch_size=1,
            max_inflight_gen_batches=filter_groups["max_inflight_gen_batches"],
            sync_refill_failed_groups=options.sync_refill_failed_groups,
            **kwargs,
        )
        if self.trainer_mode not in ("sync", "colocate_async"):
            raise SamplerError(
                f"this sampler is for trainer.v1.trainer_mode=sync or colocate_async, not {self.trainer_mode}; "
                "trainer.v1.sampler.custom_sampler.path=null takes verl's own, without this recipe's metrics and alarm"
            )
        keep_messages(options.checkpoints.folder)
        self.options = options
        self.alarm = CollapseAlarm(options.alarm)
        self.normalizer = RunningNormalizer.start(options.reward, options.checkpoints)
        # verl builds its sampler before the reward workers.
        self.judge = judge_limiter.start(options.reward)
        self.lost_media = lost_media.start()
        self._replaced = self._filtered = self._unreadable = 0
        self._workers: set[str] = set()
        self._selected: list[str] = []
        self._data_sources: dict[str, str] = {}
        self._judge_failures: Mapping[str, int] = {}

    def submitted(self, uids: Iterable[str], data_sources: Iterable[str]) -> None:
        """Prompts are about to be answered; of one whose answers all fail, nothing else says what it was."""
        self._data_sources |= dict(zip(uids, data_sources, strict=True))

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """A batch as verl's sampler selects it, without groups of fewer than two scored answers.

        Raises:
            MediaLost: frames, a picture or a video can no longer be read.
            WorkerLost: one of verl's agent loop workers has ended, which verl would wait for without end.
            SamplerError: no group of the step is left.
            JudgeAborted, CollapseError: the judge, or the policy, has failed for so long that the run stops; the latter
                also where ``algorithm.filter_groups`` finds no batch of prompts that give a gradient.
        """
        self._replaced = self._filtered = self._unreadable = 0
        try:
            if partition_id == "val":
                return super().sample(global_steps, partition_id, batch_size)
            return self._sample_training(global_steps, partition_id, batch_size)
        except (lost_media.MediaLost, WorkerLost, SamplerError, CollapseError, judge_limiter.JudgeAborted) as error:
            logger.error("the run stops: %s", error, extra={"step": global_steps})
            raise

    def _sample_training(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        try:
            batch, metrics = super().sample(global_steps, partition_id, batch_size)
        finally:
            # Also where no answer is left: the judge's own error says more than verl's.
            judged = judge_limiter.step_metrics(self.judge)
        if not batch.keys:
            raise SamplerError(
                "no answer of this step has a score: the errors of the reward loop above say why. "
                "trainer.v1.sampler.sync_refill_failed_groups=true replaces such prompts"
            )
        answers = self._fetch(batch)
        write_scores(self.options.checkpoints.folder / "scores", global_steps, batch.keys, answers)
        batch = self._drop_small_groups(batch)
        kept = {_uid(key) for key in batch.keys}
        unscored = (set(self._selected) - {answer.uid for answer in answers}) & self._data_sources.keys()
        sources = [self._data_sources[uid] for uid in sorted(unscored)]
        metrics |= judged | dropped_by_pair(answers, kept, self.options.group_size, sources)
        failed, settled = self._settle(partition_id)
        if self.judge is not None:
            metrics |= judge_failures_by_pair(failed, settled)
        answers = [answer for answer in answers if answer.uid in kept]
        metrics |= step_metrics(answers, asked=batch_size * self.options.group_size)
        metrics |= dropped_by_cause(metrics["medgrpo/dropped_trajectories"], self._unreadable, failed.total())
        metrics["medgrpo/dropped_groups"] = batch_size - len(kept)
        self.normalizer.observe(global_steps, answers)
        self.alarm.check(global_steps, metrics)
        return batch, metrics

    def _settle(self, partition_id: str) -> tuple[Counter, dict[str, str]]:
        """Of the prompts that are in the batch or thrown away: answers without a verdict, and data sources. An
        asynchronous step leaves prompts to the next one, and their figures with them."""
        states = (self.pending_keys, self.running_keys, self.finished_keys, self.failure_keys)
        waiting = set().union(*(keys[partition_id] for keys in states)) - set(self._selected)
        failed = Counter(self._judge_failures) + Counter(judge_limiter.failed_by_group(self.judge))
        settled = {uid: self._data_sources.pop(uid) for uid in self._data_sources.keys() - waiting}
        self._judge_failures = {uid: failed[uid] for uid in failed.keys() & waiting}
        return Counter({uid: failed[uid] for uid in failed.keys() & settled.keys()}), settled

    def _terminal_eviction_reasons(self, global_steps: int, partition_id: str) -> tuple[set, set, set, Counter]:
        """verl's choice of the prompts to replace, with an end: a judge that is gone fails the replacements too, and a
        policy that has collapsed answers them all alike."""
        self._stop_without_media(global_steps)
        self._stop_without_workers(global_steps)
        reasons = super()._terminal_eviction_reasons(global_steps, partition_id)
        batch_size, filter_groups = self.options.train_batch_size, self.options.filter_groups
        self._replaced += len(reasons[2])
        if self._replaced > MAX_REPLACED * batch_size:
            raise SamplerError(
                f"{self._replaced} prompts of this step have no scored answer, replacements included "
                "(sync_refill_failed_groups): the errors of the reward loop above say why"
            )
        self._filtered += len(reasons[1])
        limit = max(0, filter_groups["max_num_gen_batches"]) or MAX_FILTERED
        usable = len(self._sampleable_terminal_keys(partition_id, reasons))
        if self._filtered >= limit * batch_size and usable < batch_size:
            raise CollapseError(
                f"step {global_steps}: {self._filtered} prompts were thrown away because all their answers have one "
                f"{self.filter_groups_metric}, {limit} batches or more, and {usable} of {batch_size} are left "
                f"(algorithm.filter_groups.max_num_gen_batches){answers_of(global_steps)}"
            )
        return reasons

    def _stop_without_media(self, step: int) -> None:
        # verl looks for finished prompts every few seconds and asks this way which to replace: the run need not wait
        # for the rest of its batch.
        messages = lost_media.take(self.lost_media)
        self._unreadable += len(messages)
        share = self._unreadable / (self.options.train_batch_size * self.options.group_size)
        if share <= self.options.alarm.lost_media:
            for message in sorted(set(messages)):
                logger.warning("step %d: an answer is lost: %s", step, message, extra={"step": step})
            return
        raise lost_media.MediaLost(
            f"step {step}: {messages[0]} ({self._unreadable} answers so far are lost to media that cannot be read). "
            "It could be read, or was there, when the run was checked: bring it back and start again to go on from the "
            "last checkpoint, or tolerate such losses (medgrpo.alarm.lost_media, a share of a step's answers)"
        )

    def _stop_without_workers(self, step: int) -> None:
        # verl gives prompts to these actors and asks nobody whether they live.
        alive = {name for name in ray.util.list_named_actors() if name.startswith("agent_loop_worker_")}
        if gone := sorted(self._workers - alive):
            raise WorkerLost(
                f"step {step}: {', '.join(gone)} ended while prompts were being answered. Ray's messages in the log "
                "say why; often the machine's memory was full. Start again to go on from the last checkpoint"
            )
        self._workers |= alive

    def _materialize_batch(self, partition_id: str, selected_prompt_uids: list[str], *args) -> KVBatchMeta:
        self._selected = selected_prompt_uids
        return super()._materialize_batch(partition_id, selected_prompt_uids, *args)

    def _drop_small_groups(self, batch: KVBatchMeta) -> KVBatchMeta:
        """Take groups out that have fewer than two answers; the trainer pads the batch with answers of no loss."""
        sizes = Counter(_uid(key) for key in batch.keys)
        small = {uid for uid, size in sizes.items() if size < min(MIN_SURVIVORS, self.options.group_size)}
        if not small:
            return batch
        if len(small) == len(sizes):
            raise SamplerError(
                f"no prompt of this step has {MIN_SURVIVORS} scored answers, so that there is nothing to compare; "
                "the errors of the reward loop above say why the others could not be scored"
            )
        gone = [key for key in batch.keys if _uid(key) in small]
        tq.kv_clear(partition_id=batch.partition_id, keys=gone)
        kept = [(key, tag) for key, tag in zip(batch.keys, batch.tags, strict=True) if _uid(key) not in small]
        logger.warning("%d prompts left out of this step: fewer than %d scored answers", len(small), MIN_SURVIVORS)
        keys, tags = map(list, zip(*kept, strict=True))
        return KVBatchMeta(partition_id=batch.partition_id, keys=keys, tags=tags)

    def _fetch(self, batch: KVBatchMeta) -> list[ScoredAnswer]:
        fields = ["data_source", "extra_fields", "rollout_log_probs", "index"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        columns = (list(data[field]) for field in fields)
        return [
            ScoredAnswer(
                uid=_uid(key),
                data_source=source,
                score=extra["reward_extra_info"],
                length=tag["response_len"],
                entropy=-float(log_probs.mean()),
                index=int(index),
            )
            for key, tag, source, extra, log_probs, index in zip(batch.keys, batch.tags, *columns, strict=True)
        ]


class MedGRPOReplayBuffer(_Sampling, ReplayBuffer):
    """``trainer_mode=sync``: a step ends with the last answer to its prompts."""


class _PartlyFailedGroups(ReplayBufferAsync):
    """verl's replay buffer for asynchronous training replaces a prompt of which one answer has failed. Here that answer
    alone is lost, as it is in synchronous training."""

    def _terminal_eviction_reasons(self, global_steps: int, partition_id: str) -> tuple[set, set, set, Counter]:
        _, filtered, failed, counts = ReplayBuffer._terminal_eviction_reasons(self, global_steps, partition_id)
        return self._stale_terminal_keys(global_steps, partition_id), filtered, failed, counts

    def _stale_terminal_keys(self, global_steps: int, partition_id: str) -> set[str]:
        finished = self.finished_keys[partition_id]
        self.finished_keys[partition_id] = finished | self.failure_keys[partition_id]
        try:
            return super()._stale_terminal_keys(global_steps, partition_id)
        finally:
            self.finished_keys[partition_id] = finished


class MedGRPOReplayBufferAsync(_Sampling, _PartlyFailedGroups):
    """``trainer_mode=colocate_async``: the prompts of the next step are being answered before this one begins."""

    def _materialize_batch(self, partition_id: str, selected_prompt_uids: list[str], *args) -> KVBatchMeta:
        # Prompts that came back with a checkpoint were submitted to another sampler.
        unknown = [uid for uid in selected_prompt_uids if uid not in self._data_sources]
        if unknown and partition_id == "train":
            rows = tq.kv_batch_get(keys=unknown, partition_id=partition_id, select_fields=["data_source"])
            self.submitted(unknown, list(rows["data_source"]))
        return super()._materialize_batch(partition_id, selected_prompt_uids, *args)


def replay_buffer(trainer_mode: str, **kwargs) -> _Sampling:
    """The replay buffer of ``trainer.v1.trainer_mode``, as verl's trainer asks for it."""
    cls = MedGRPOReplayBuffer if trainer_mode == "sync" else MedGRPOReplayBufferAsync
    return cls(trainer_mode=trainer_mode, **kwargs)


def _uid(key: str) -> str:
    """The prompt of a trajectory's key ``{uid}_{session}_{index}``."""
    return key.split("_")[0]
