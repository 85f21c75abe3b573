#!/usr/bin/env bash
# Zhu et al. (2505.13973): Qwen2-VL-2B on 10,000 questions of PMC-VQA; the best arm, Dr. GRPO, and all others. The data
# (7,000 questions for the test; which ones the paper took is unknown):
#   python -m data_preprocess.pmc_vqa --root PMC-VQA --out data/pmc_vqa --version 2 --split-unit published --subset 10000 7000
# Then:
#   DATA=... [PRESET=zhu_ecr] bash examples/run_medical_vqa_drgrpo_qwen2vl_2b.sh [hydra overrides]
# Stages: rl, then evaluate on the test ($OUT/eval/rl). A second call skips what is done and resumes what was interrupted;
# other settings with the same OUT are refused (ACCEPT_CHANGE=1 goes on from its checkpoints all the same).
# DRY_RUN=1 prints the plan, writes the whole configuration to a file and stops; --help prints this.
set -euo pipefail

DATA=${DATA:-data/pmc_vqa}                        # folder with train.parquet and test.parquet (data_preprocess.pmc_vqa)
PRESET=${PRESET:-zhu_drgrpo}                      # zhu_{grpo,grpo_scratch,align,ecr,cwr,drgrpo,drgrpo_strict}
MODEL=${MODEL:-}                                  # name or folder; empty: the preset's
JUDGE=${JUDGE:-lexical}                           # expert of zhu_align; paper: BioMistral, with JUDGE=local (docs/papers.md)
OUT=${OUT:-checkpoints/zhu/$PRESET}
N_GPUS=${N_GPUS:-4}                               # paper; JUDGE=local takes one more. It divides 64, a step's answers

# shellcheck source=examples/vqa.sh
source "$(dirname "${BASH_SOURCE[0]}")/vqa.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
refuse_variables BATCH="$as_argument data.train_batch_size=..." MODALITY="$as_argument data.only.modality=[...]" \
  QUESTION_TYPE="$as_argument data.only.question_type=[...]"
refuse_overrides PRESET=preset JUDGE=judge OUT=trainer.default_local_dir MODEL=actor_rollout_ref.model.path -- "$@"
DATA=$(absolute "$DATA") OUT=$(absolute "$OUT") MODEL=$(absolute_folder "$MODEL")
refuse_family "$PRESET" zhu_
need_gpus

# What the papers' scripts share stands in vqa.sh; what a paper states, in recipe/medgrpo/config/preset.
train_and_evaluate preset="$PRESET" judge="$JUDGE" "$@"
