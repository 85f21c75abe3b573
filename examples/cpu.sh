# Sourced by run_medgrpo_cpu.sh and the studies, which have set RUN, SEED, CLIPS and SFT_STEPS: a run's sizes for two processor
# cores. Start one of those instead.

SFT=$RUN/sft/global_step_$SFT_STEPS/huggingface

# Of RL; the caller adds its files, its reward and its trainer.
DATA=(
  data.train_batch_size=16
  data.max_prompt_length=256
  data.max_response_length=96
  data.seed="$SEED"
)
MODEL=(
  actor_rollout_ref.model.path="$(hydra "$SFT")"
)
ACTOR=(
  actor_rollout_ref.actor.optim.lr=2e-4
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144
)
ROLLOUT=(
  actor_rollout_ref.rollout.n=8
  actor_rollout_ref.rollout.seed="$SEED"
)

# What follows are stages; `stage` is the caller's. Further options come last.

# draw_world [options]
draw_world() {
  stage --name world --output "$RUN/world" -- \
    python -m data_preprocess.synthetic --out "$RUN/world" --seed "$SEED" --clips-per-source "$CLIPS" "$@"
}

# calibrate [options]: of the SFT model, on the rows of training.
calibrate() {
  stage --name calibrate --after sft --output "$RUN/normalization.json" "$RUN/normalization.answers.jsonl" -- \
    medgrpo calibrate --model "$SFT" --data "$RUN/data/train.parquet" --out "$RUN/normalization.json" "$@"
}

# evaluate NAME AFTER MODEL [options]: of the held-out rows, after a stage.
evaluate() {
  stage --name "eval-$1" --after "$2" --output "$RUN/eval/$1" -- \
    medgrpo evaluate --name "$1" --model "$3" --out "$RUN/eval/$1" --data "$RUN/data/val.parquet" \
    --normalization "$RUN/normalization.json" "${@:4}"
}

# warm_start: the stages that make the model and its SFT, of the rows in RUN/data.
warm_start() {
  stage --name model --after data --output "$RUN/model" -- \
    medgrpo tiny-model --out "$RUN/model" --data "$RUN/data/train.parquet" --seed "$SEED"
  fine_tune sft "$SFT_STEPS"
}

# fine_tune NAME STEPS: a stage of so many steps of SFT, from the made model to RUN/NAME.
fine_tune() {
  stage --name "$1" --after model --output "$RUN/$1" --metrics "$RUN/$1" --total "$2" -- \
    torchrun --standalone --nproc_per_node=1 -m recipe.medgrpo.main_sft platform=cpu_sft \
    model.path="$(hydra "$RUN/model")" data.train_files="$(hydra "$RUN/data/train.parquet")" \
    data.train_batch_size=16 data.max_length=384 data.max_token_len_per_gpu=6144 data.media.memory_gb=2 \
    engine.seed="$SEED" trainer.seed="$SEED" optim.lr=3e-3 "optim.betas=[0.9,0.95]" optim.lr_warmup_steps_ratio=0.05 \
    trainer.total_training_steps="$2" trainer.total_epochs=100 trainer.save_freq=200 trainer.max_ckpt_to_keep=2 \
    trainer.default_local_dir="$(hydra "$RUN/$1")" "checkpoint.save_contents=[model,optimizer,extra,hf_model]"
}
