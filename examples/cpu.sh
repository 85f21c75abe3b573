# Sourced by run_medgrpo_cpu.sh and the studies, which have set RUN, SEED and SFT_STEPS: a run's sizes for two processor
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

# warm_start: the stages that make the model and its SFT, of the rows in RUN/data; `stage` is the caller's.
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
