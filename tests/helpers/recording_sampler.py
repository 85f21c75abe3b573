# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's sampler, which also writes down what verl trains on: tokens and loss mask of every response."""

import json

import transfer_queue as tq

from recipe.medgrpo.trainer.sampler import MedGRPOReplayBuffer


class RecordingSampler(MedGRPOReplayBuffer):
    def sample(self, global_steps, partition_id, batch_size):
        batch, metrics = super().sample(global_steps, partition_id, batch_size)
        fields = ["responses", "response_mask", "extra_fields"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        folder = self.options.checkpoints.folder
        with (folder / f"trained_{global_steps}.jsonl").open("w") as file:
            for tokens, mask, extra in zip(*(list(data[field]) for field in fields), strict=True):
                cut = extra["reward_extra_info"]["cut"]
                file.write(json.dumps({"tokens": tokens.tolist(), "mask": mask.tolist(), "cut": cut}) + "\n")
        return batch, metrics
