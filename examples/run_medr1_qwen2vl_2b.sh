#!/usr/bin/env bash
# Med-R1 (2503.13939): Qwen2-VL-2B, GRPO with accuracy and format rewards on one part of OmniMedVQA.
#   DATA=... MODALITY=MRI [PRESET=medr1_nothink] bash examples/run_medr1_qwen2vl_2b.sh [hydra overrides]
#   DATA=... QUESTION_TYPE='Lesion Grading' bash examples/run_medr1_qwen2vl_2b.sh
# The paper trains one model per modality (8) and one per question type (5): give one of the two variables, not both.
# Stages: rl, then evaluate on all of the test ($OUT/eval/rl). A second call skips what is done and resumes what was
# interrupted; other settings with the same OUT are refused (ACCEPT_CHANGE=1 goes on from its checkpoints all the same).
# DRY_RUN=1 prints the plan, writes the whole configuration to a file and stops; --help prints this.
set -euo pipefail

DATA=${DATA:-data/omnimedvqa}                     # folder with train.parquet and test.parquet (data_preprocess.omnimedvqa)
PRESET=${PRESET:-medr1_think}                     # medr1_think | medr1_nothink | medr1_think_after
MODALITY=${MODALITY:-}                            # trained on; CT MRI X-Ray US Der FP OCT Micro; default: CT
QUESTION_TYPE=${QUESTION_TYPE:-}                  # or this: Anatomy Identification | Disease Diagnosis |
                                                  # Lesion Grading | Modality Recognition | Other Biological Attributes
MODEL=${MODEL:-Qwen/Qwen2-VL-2B-Instruct}         # name or folder
OUT=${OUT:-}                                      # default: checkpoints/medr1/$PRESET/<what it is trained on>
N_GPUS=${N_GPUS:-2}                               # paper
BATCH=${BATCH:-4}                                 # prompts a step, as published; 64 is the practical size

# shellcheck source=examples/vqa.sh
source "$(dirname "${BASH_SOURCE[0]}")/vqa.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"

refuse_variables JUDGE="Med-R1 has no judge"
[ -z "$MODALITY" ] || [ -z "$QUESTION_TYPE" ] || die "Both MODALITY and QUESTION_TYPE are set: give one of them"
# Both would hold, and the run would silently learn from the rows that meet both.
[[ "$*" != *data.only* ]] || die "Choose rows with MODALITY or QUESTION_TYPE, not with data.only"
if [ -n "$QUESTION_TYPE" ]; then FIELD=question_type PART=$QUESTION_TYPE; else FIELD=modality PART=${MODALITY:-CT}; fi
OUT=${OUT:-checkpoints/medr1/$PRESET/${PART// /_}}
DATA=$(absolute "$DATA") OUT=$(absolute "$OUT") MODEL=$(absolute_folder "$MODEL")
refuse_overrides PRESET=preset OUT=trainer.default_local_dir MODEL=actor_rollout_ref.model.path -- "$@"
refuse_family "$PRESET" medr1_
need_gpus

# What the papers' scripts share stands in vqa.sh; what a paper states, in recipe/medgrpo/config/preset.
train_and_evaluate preset="$PRESET" data.only.$FIELD="[$PART]" data.train_batch_size="$BATCH" "$@"
