# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a normalization does to advantages, by verl's own estimators: the equalities that mathematics demands, the
directions that it predicts, and the command on answers and on a run's rollouts."""

import json

import numpy as np
import pytest
import torch
from configuration import composed
from omegaconf import OmegaConf

from recipe.medgrpo import cli
from recipe.medgrpo.common.outputs import OutputError
from recipe.medgrpo.common.run_folder import RunDirError
from recipe.medgrpo.evaluation.answers import AnswersError, read_rows
from recipe.medgrpo.replay import command
from recipe.medgrpo.replay.advantages import ESTIMATORS, Batch
from recipe.medgrpo.replay.command import METHODS
from recipe.medgrpo.replay.figures import replay
from recipe.medgrpo.replay.read import of_file, of_rollouts
from recipe.medgrpo.replay.wording import expectations
from reward_score import Artifact, Provenance, RawScore, ScoreConfig

PROVENANCE = Provenance(model="sft", split="train", decoding="greedy")
EASY, HARD = "CoPESD/tag", "NurViD/tag"


def raw_score(pair, value, format=1.0):
    source, task = pair.split("/")
    return RawScore(source, task, format, {"raw": value if format else 0.0}, {})


@pytest.fixture(scope="module")
def two_sources():
    """Answers to 40 prompts of an easy source with wide spread and 40 of a hard one with a seventh of it."""
    rng = np.random.default_rng(0)
    raws, places = [], []
    for pair, level, spread in ((EASY, 0.75, 0.1), (HARD, 0.06, 0.015)):
        for prompt in range(40):
            centre = level + spread * rng.normal()
            raws += [raw_score(pair, float(np.clip(centre + spread * rng.normal(), 0, 1))) for _ in range(8)]
            places += [(0, f"{pair}{prompt}")] * 8
    return raws, places


def artifact_of(raws):
    observed = {}
    for raw in raws:
        for name, value in raw.components.items():
            observed.setdefault((raw.source, raw.task, name), []).append(value)
    return Artifact.from_observations(observed, PROVENANCE)


def figures(raws, places, tokens=None, methods=METHODS, aggregation="token-mean", **options):
    config = ScoreConfig(reward_tasks="all", **options)
    found = replay(raws, places, tokens or [10] * len(raws), config, artifact_of(raws), methods, aggregation)
    return {(one.method, one.estimator): one for one in found}


@pytest.fixture(scope="module")
def found(two_sources):
    return figures(*two_sources)


@pytest.mark.parametrize("method", ["shift", "scale"])
def test_with_division_by_the_deviation_affine_maps_are_inert(found, method):
    raw, own = found["none", "grpo"], found[method, "grpo"]
    # verl adds 1e-6 to the deviation, which no map leaves alone.
    assert own.share == pytest.approx(raw.share, abs=1e-4) and own.tied == raw.tied
    assert own.cosine == pytest.approx(1, abs=1e-6) and own.agreement == 1


@pytest.mark.parametrize("estimator", ["grpo", "grpo without std", "reinforce++"])
def test_with_a_group_baseline_a_shift_is_inert(found, estimator):
    raw, own = found["none", estimator], found["shift", estimator]
    assert own.share == pytest.approx(raw.share, abs=1e-4) and own.cosine == pytest.approx(1, abs=1e-6)
    assert own.mean == pytest.approx({EASY: 0, HARD: 0}, abs=1e-3)


def test_without_it_raw_rewards_drown_the_hard_source_and_scaling_repairs_it(found):
    share = {method: found[method, "grpo without std"].share[HARD] for method in METHODS}
    assert share["none"] < 0.15 and share["shift"] == pytest.approx(share["none"], abs=1e-4)
    assert all(0.4 < share[method] < 0.6 for method in ("scale", "logistic", "linear", "zscore", "rank"))
    assert all(0.4 < found[method, "grpo"].share[HARD] < 0.6 for method in METHODS)


def test_against_a_batch_mean_the_level_decides_and_a_shift_cures_it(found):
    raw = found["none", "batch mean"].mean
    assert raw[EASY] > 0.5 and raw[HARD] < -0.5
    for method in ("shift", "logistic"):
        assert max(map(abs, found[method, "batch mean"].mean.values())) < 0.2
    # Scaling alone leaves a level: the easy source lies more deviations above 0.
    assert found["scale", "batch mean"].mean[EASY] > 0.3


def test_the_sentences_say_so(found):
    text = "\n".join(expectations(found.values(), "logistic"))
    assert "(grpo), logistic does not rebalance these pairs: the largest change of a share is" in text
    assert "Without that division, logistic moves weight between the pairs:" in text
    assert f"raw rewards push {EASY} up" in text and f"{HARD} down" in text
    assert "All answers can be parsed" in text


def test_advantages_and_weights_by_hand():
    batch = Batch(np.arange(4), ["a", "a", "b", "b"], [1, 3, 2, 0])
    scores = [{"score": value} for value in (0.0, 1.0, 0.5, 0.5)]
    half = 2**-0.5
    assert batch.advantages("grpo", scores) == pytest.approx([-half, half, 0, 0], abs=1e-5)
    assert batch.advantages("grpo without std", scores) == pytest.approx([-0.5, 0.5, 0, 0])
    # The batch's mean and deviation are over tokens: 1, 3, 2 and 1 of them.
    tokens = torch.tensor([0.0, 1, 1, 1, 0.5, 0.5, 0.5])
    whitened = (np.array([0, 1, 0.5, 0.5]) - float(tokens.mean())) / float(tokens.std())
    assert batch.advantages("batch mean", scores) == pytest.approx(whitened, abs=1e-4)
    assert batch.weights("token-mean") == pytest.approx(np.array([1, 3, 2, 1]) / 7)
    assert batch.weights("seq-mean-token-mean") == pytest.approx([0.25] * 4)


def test_shares_follow_the_aggregation():
    raws = [raw_score(pair, value) for pair in (EASY, HARD) for value in (0.2, 0.8)]
    places = [(0, "a"), (0, "a"), (0, "b"), (0, "b")]
    shares = [
        figures(raws, places, [30, 30, 10, 10], ["none"], mode)["none", "grpo"].share
        for mode in ("token-mean", "seq-mean-token-mean")
    ]
    assert shares == [pytest.approx({EASY: 0.75, HARD: 0.25}), pytest.approx({EASY: 0.5, HARD: 0.5})]


def test_batches_are_steps():
    raws = [raw_score(EASY, value) for value in (0.0, 0.2, 0.8, 1.0)]
    one, two = ([(step, "a")] * 2 + [(last, "b")] * 2 for step, last in ((0, 0), (0, 1)))
    assert figures(raws, one)["none", "batch mean"].mean == pytest.approx({EASY: 0}, abs=1e-5)
    together, apart = (figures(raws, places)["none", "batch mean"].tied for places in (one, two))
    assert together == apart == {EASY: 0}
    same = [raw_score(EASY, value) for value in (0.0, 0.0, 1.0, 1.0)]
    assert figures(same, one)["none", "batch mean"].share == {EASY: pytest.approx(1)}
    # A step of its own leaves nothing to compare with.
    assert figures(same, two)["none", "batch mean"].share == {EASY: 0}


@pytest.mark.parametrize("method", METHODS)
def test_no_monotone_map_revives_a_tied_group(method):
    raws = [raw_score(HARD, value) for value in (0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3)]
    places = [(0, "dead")] * 4 + [(0, "alive")] * 4
    found = figures(raws, places, methods=[method])
    assert {found[method, estimator].tied[HARD] for estimator in ESTIMATORS} == {0.5}
    # `linear` may tie answers that raw rewards rank; none of the others does.
    assert method == "linear" or found[method, "grpo"].agreement == 1


def test_what_an_unparsable_answer_loses_in_a_hard_source():
    rng = np.random.default_rng(1)
    raws, places = [], []
    for prompt in range(60):
        values = np.clip(rng.normal(0.03, 0.05, 8), 0, 1)
        raws += [raw_score(HARD, float(value), format=float(k > 0)) for k, value in enumerate(values)]
        places += [(0, prompt)] * 8
    after, before = (figures(raws, places, format_order=order) for order in ("after", "before"))
    assert after["logistic", "grpo"].unparsable < after["none", "grpo"].unparsable - 0.3
    assert before["logistic", "grpo"].unparsable > after["logistic", "grpo"].unparsable + 0.3
    assert before["none", "grpo"].unparsable == pytest.approx(after["none", "grpo"].unparsable)
    assert all(
        one.unparsable is None for one in figures([raw_score(HARD, 0.1), raw_score(HARD, 0.2)], [(0, 0)] * 2).values()
    )


def test_captions_what_the_mix_rewards():
    rng = np.random.default_rng(2)
    raws, places = [], []
    for prompt in range(60):
        for _ in range(8):
            # The judge's spread is five times the similarity's, and they are independent.
            parts = {"similarity": float(rng.normal(0.8, 0.04)), "judge": float(rng.normal(0.5, 0.2))}
            raws.append(RawScore("AVOS", "vs", 1.0, parts, {}))
            places.append((0, prompt))
    found = figures(raws, places)
    assert found["none", "grpo"].similarity < 0.4 < 0.6 < found["logistic", "grpo"].similarity
    assert found["none", "grpo"].judge > 0.9
    gdpo = found["none", "gdpo"]
    assert gdpo.similarity == pytest.approx(gdpo.judge, abs=0.1) and gdpo.similarity > 0.6
    assert not any(estimator == "gdpo" for method, estimator in found if method != "none")


@pytest.fixture
def answers_file(world, tmp_path):
    def write(n):
        file = world.write_answers(tmp_path / f"{n}.jsonl", world.train, 0.5, n)
        head, *lines = file.read_text().splitlines()
        meta = json.loads(head)
        meta["meta"]["decoding"] |= {"max_tokens": 256}
        file.write_text("\n".join([json.dumps(meta), *lines]) + "\n")
        return file

    return write


@pytest.fixture
def artifact(world, model, call, stand_in, tmp_path):
    from recipe.medgrpo.evaluation import calibrate

    stand_in(0.0)
    file = tmp_path / "normalization.json"
    assert call(calibrate, "--model", model, "--data", world.train, "--out", file) == 0
    return file


def test_the_command_on_answers(answers_file, artifact, call, tmp_path, capsys):
    given = ("--answers", answers_file(4), "--normalization", artifact, "--out", tmp_path / "out")
    assert call(command, *given) == 0
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert (tmp_path / "out" / "replay.png").stat().st_size > 10_000
    # 3 sources, 3 rewarded tasks of 4, 40 rows, 4 answers.
    assert (written["answers"], written["groups"], written["batches"]) == (3 * 3 * 40 * 4, 360, 1)
    assert "480 answers are of tasks without reward" in printed
    kinds = {(one["method"], one["estimator"]) for one in written["figures"]}
    assert kinds == {(method, estimator) for method in command.SHOWN for estimator in ESTIMATORS} | {("none", "gdpo")}
    for one in written["figures"]:
        assert sum(one["share"].values()) == pytest.approx(1)
        assert list(one["share"])[:2] == ["AVOS/tag", "CoPESD/tag"]
    assert all(sentence in printed for sentence in written["expect"]) and len(written["expect"]) == 5
    # Every option of the training counts.
    assert call(command, *given, "--methods", "rank", "--loss-agg-mode", "seq-mean-token-mean",
                "medgrpo.reward.reward_tasks=[tag]", "medgrpo.reward.format_order=before") == 0  # fmt: skip
    tag = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert tag["answers"] == 480 and tag["loss_agg_mode"] == "seq-mean-token-mean"
    assert {one["method"] for one in tag["figures"]} == {"none", "rank"}


def test_what_cannot_be_replayed_is_said(answers_file, artifact, call, tmp_path, capsys):
    out = ("--out", tmp_path / "out")
    with pytest.raises(AnswersError, match="medgrpo generate --n 8 --temperature 1"):
        call(command, "--answers", answers_file(1), "--normalization", artifact, *out)
    empty = tmp_path / "empty.jsonl"
    empty.write_text(answers_file(2).read_text().split("\n")[0].replace('"answers": 960', '"answers": 0'))
    with pytest.raises(AnswersError, match="no two answers to one row"):
        call(command, "--answers", empty, "--normalization", artifact, *out)
    with pytest.raises(AnswersError, match="leave --steps out"):
        call(command, "--answers", answers_file(2), "--normalization", artifact, "--steps", 1, *out)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/replay.json").write_text("mine")
    # Before the answers are read.
    with pytest.raises(OutputError, match="replay.json exists"):
        call(command, "--answers", tmp_path / "none", "--normalization", artifact, *out)
    (tmp_path / "out/replay.json").unlink()
    with pytest.raises(AnswersError, match="--normalization FILE"):
        call(command, "--answers", answers_file(2), *out)
    with pytest.raises(SystemExit):
        call(command, "--answers", answers_file(2), "--normalization", artifact, "--methods", "softmax", *out)
    assert "invalid choice: 'softmax' (choose from 'none', 'shift'" in capsys.readouterr().err
    with pytest.raises(RunDirError, match="hydra.run.dir"):
        call(command, "--run", tmp_path, *out)


def dump(folder, step, rows, n=2, **change):
    """Rollouts of one step, as verl writes them."""
    folder.mkdir(exist_ok=True)
    lines = [
        {
            "input": f"user\nAnswer shortly: {row.extra_info['question']}\nassistant\n",
            "output": row.ground_truth if sample else "garbage",
            "gts": row.ground_truth,
            "score": float(sample),
            "step": step,
            "uid": f"prompt-{row.index}_{sample}_0",
        }
        | change
        for row in rows
        for sample in range(n)
    ]
    (folder / f"{step}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_rollouts_find_their_rows_again(world, tmp_path):
    rows = read_rows(world.train)
    # "question 1 of tag" is within no other question; 1 and 11 share their answers now and then.
    chosen = [row for row in rows if row.task == "tag"][:20]
    dump(tmp_path / "rollouts", 1, chosen)
    dump(tmp_path / "rollouts", 10, chosen[:3])
    found = of_rollouts(tmp_path / "rollouts", rows, lambda text: len(text.split()), 2)
    assert [one.batch for one in found] == [1] * 40 + [10] * 6
    assert [one.answer.row.index for one in found[::2]] == [row.index for row in chosen + chosen[:3]]
    assert {one.group for one in found[:2]} == {f"prompt-{chosen[0].index}"}
    # "garbage" and its end fill two tokens; "1.0-5.0 seconds." and its end would be three.
    assert [(one.answer.num_tokens, one.answer.finish_reason, one.score) for one in found[:2]] == [
        (2, "stop", 0.0),
        (2, "length", 1.0),
    ]
    assert len(of_rollouts(tmp_path / "rollouts", rows, len, 99, {10})) == 6
    with pytest.raises(RunDirError, match="lacks the steps 2, 3"):
        of_rollouts(tmp_path / "rollouts", rows, len, 99, {2, 3})
    with pytest.raises(RunDirError, match="rollout_data_dir"):
        of_rollouts(tmp_path / "nothing", rows, len, 99)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gts": "9.0-9.5 seconds."}, "1.jsonl, line 1: no row of the data"),
        ({"input": "When is it?"}, "no row of the data.*--data"),
        ({"uid": "another-trainer"}, "1.jsonl, line 1: uid is 'another-trainer', which `medgrpo train` does not write"),
        ({"uid": 7}, "line 1: uid is 7"),
        ({"score": None}, "1.jsonl, line 1: score is None"),
        ({"input": None}, "line 1: input is None"),
    ],
)
def test_rollouts_of_other_data_are_refused(world, tmp_path, change, message):
    rows = read_rows(world.train)
    dump(tmp_path / "rollouts", 1, rows[:1], **change)
    with pytest.raises(AnswersError, match=message):
        of_rollouts(tmp_path / "rollouts", rows, len, 99)


def test_rollouts_of_something_else_are_refused(world, tmp_path):
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "rollouts/1.jsonl").write_text('{"input": "When?", "output": "", "gts": "", "uid": "p_0_0"}\n')
    with pytest.raises(RunDirError, match="1.jsonl, line 1: lacks score; it is written by"):
        of_rollouts(tmp_path / "rollouts", read_rows(world.train), len, 99)


def test_rollouts_with_one_answer_a_prompt_are_refused(world, tmp_path):
    rows = read_rows(world.train)
    for step in (1, 2):
        dump(tmp_path / "rollouts", step, rows[:3], n=1)
    with pytest.raises(AnswersError, match="no two answers to one prompt in these steps.*rollout.n above 1"):
        of_rollouts(tmp_path / "rollouts", rows, len, 99)


@pytest.fixture
def run(world, tiny_model, artifact, tmp_path):
    """A run whose training was started with relative paths, of which its configuration keeps the absolute ones."""
    root = tmp_path / "a run"
    (root / "rl/.hydra").mkdir(parents=True)
    paths = {"data.train_files": world.train, "actor_rollout_ref.model.path": tiny_model}
    paths |= {"medgrpo.reward.artifact": artifact, "data.val_files": world.val}
    words = ["medgrpo.reward.reward_tasks=[tag,stg]", "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean"]
    absolute = composed(*(f"{key}='{path}'" for key, path in paths.items()), *words)
    relative = [f"{key}='{path.name}'" for key, path in paths.items()]
    (root / "rl/.hydra/config.yaml").write_text(OmegaConf.to_yaml(absolute))
    (root / "rl/.hydra/overrides.yaml").write_text(OmegaConf.to_yaml([*relative, *words]))
    dump(root / "rl/rollouts", 1, [row for row in read_rows(world.train) if row.task == "tag"][:6])
    return root


def test_a_run_with_overrides_as_the_training_takes_them(run, tmp_path):
    def written(*words):
        assert cli.main(["replay", "--methods", "rank", "--run", str(run), "--out", str(tmp_path / "out"), *words]) == 0
        return json.loads((tmp_path / "out/replay.json").read_text())

    assert "under its own normalization, logistic" in written()["notes"][0]
    found = written("preset=medgrpo_no_norm", "++medgrpo.reward.k=2")
    assert "under its own normalization, none" in found["notes"][0]
    assert (found["answers"], found["loss_agg_mode"]) == (12, "seq-mean-token-mean")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("jugde=openai", "Could not override 'jugde'"),
        # It counts: the artifact is of another judge.
        ("judge=openai", "the run's is comparative:gpt-4.1"),
        ("judge=opennai", "Could not find 'judge/opennai'"),
        ("+medgrpo.reward.tag_raw=x", "already at 'medgrpo.reward.tag_raw'"),
        ("medgrpo.reward.tag_raw=x", "medgrpo.reward: tag_raw"),
        ("medgrpo.reward.k=[", "input '['"),
    ],
)
def test_no_override_is_ignored(run, tmp_path, capsys, override, said):
    assert cli.main(["replay", "--run", str(run), "--out", str(tmp_path / "out"), override]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"), [("", "config.yaml has no medgrpo.reward"), ("a: [", "config.yaml: no configuration: ")]
)
def test_a_broken_configuration_of_the_run_is_named(run, tmp_path, capsys, text, said):
    (run / "rl/.hydra/config.yaml").write_text(text)
    assert cli.main(["replay", "--run", str(run), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


def test_one_question_of_two_sources_is_refused(world, tmp_path):
    rows = read_rows(world.train)
    twin = rows[0]._replace(data_source="medvidbench/Twin/tag", source="Twin")
    dump(tmp_path / "rollouts", 1, rows[:1])
    assert of_rollouts(tmp_path / "rollouts", [*rows, rows[0]], len, 99)[0].answer.row == rows[0]
    with pytest.raises(AnswersError, match="rows of several sources"):
        of_rollouts(tmp_path / "rollouts", [*rows, twin], len, 99)


def test_an_answers_file_is_one_batch(answers_file):
    meta, found = of_file(answers_file(3))
    assert meta["decoding"]["max_tokens"] == 256
    assert {one.batch for one in found} == {0} and len({one.group for one in found}) == len(found) / 3
