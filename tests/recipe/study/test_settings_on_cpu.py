# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of the study composes with the recipe's configuration, and says what it is meant to."""

from pathlib import Path

import pytest
from configuration import composed

from recipe.medgrpo.study.design import Study

STUDY = Study.load(Path(__file__).resolve().parents[3] / "examples/studies/normalization/study.yaml")
NEEDED = ("platform=cpu", "data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m")


@pytest.mark.parametrize("name", STUDY.settings)
def test_a_setting_composes(name):
    config = composed(*NEEDED, "medgrpo.reward.artifact=a", *STUDY.settings[name].overrides)
    algorithm, actor = config.algorithm, config.actor_rollout_ref.actor
    assert algorithm.norm_adv_by_std_in_grpo == (not name.startswith("nostd"))
    assert (algorithm.adv_estimator == "grpo") == (not name.startswith(("batch", "caption_gdpo")))
    assert actor.use_kl_loss == (name == "form_kl")
    assert (actor.loss_agg_mode == "token-mean") == (name != "form_sequence_mean")
    assert (config.medgrpo.reward.format_order == "after") == (name != "form_before")
    assert config.medgrpo.reward.normalization in ("none", "logistic", "scale", "shift")
