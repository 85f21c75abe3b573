# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two models, MiniLM and a reviewer: from requests to rows that pass the check."""

import json

import pytest
from judge_server import answer

from data_preprocess import medvidbench
from recipe.medgrpo.data_audit.check import check

pytest.importorskip("sentence_transformers")
GPT = "The hook dissects the gallbladder while a grasper retracts it to the left side."


def test_from_requests_to_checked_rows(desk, capsys):
    requests = desk.write(*(desk.record(id=str(number), video=desk.paths[: 20 + number], sampled_video_frames=None)
                            for number in range(4)))  # fmt: skip
    desk.servers["gpt"].default = answer(GPT)
    desk.servers["gemini"].default = answer("A grasper retracts the gallbladder to the left as the hook dissects it.")
    assert desk.run("--concurrency", "1") == 0
    lines = desk.lines()
    for line in lines:
        if line["key"] == requests[1].key and line["slot"] == "gemini":
            line["captions"] = ["The hook dissects until 99 seconds have passed, and it dissects the gallbladder."]
        if line["key"] == requests[2].key and line["slot"] == "gemini":
            line["captions"] = ["Quarterly revenue rose sharply in the northern sales region, said the hook company."]
    desk.captions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    review = {requests[3].key + "/gpt": {"verdict": "reject", "note": "left is right"}}
    review |= {requests[0].key + "/gpt": {"verdict": "accept"}}
    for name in ("r1.json", "r2.json"):
        (desk.root / name).write_text(json.dumps({"captions": review}))
    (desk.root / "r3.json").write_text(json.dumps({"captions": {"other/gpt": {"verdict": "accept"}}}))
    reviewed = ["--reviewed", *(str(desk.root / f"r{number}.json") for number in (1, 2, 3)), "--review", "2"]
    assert desk.validate(*reviewed) == 0
    out = capsys.readouterr().out
    assert "r1.json and r2.json: 2 captions in common, 100% agreement, Cohen's kappa 1.00" in out
    assert "r2.json and r3.json: 0 captions in common, no agreement" in out and "2 clips to review" in out
    assert "r3.json: 1 of its 1 verdicts are about captions that" in out and "r1.json: " not in out
    rejected = {(entry["key"], entry["slot"]): entry for entry in map(json.loads, open(desk.out / "rejected.jsonl"))}
    reasons = {place: entry["reason"] for place, entry in rejected.items()}
    assert reasons.pop((requests[3].key, "gpt")) == "rejected by a reviewer: left is right"
    assert "names 99 s" in reasons.pop((requests[1].key, "gemini"))
    for slot in ("gpt", "gemini"):
        assert "is below 0.3" in reasons.pop((requests[2].key, slot))
        assert rejected[requests[2].key, slot]["similarity"] < 0.3
    assert reasons == {}
    records = json.loads((desk.out / "captioned.json").read_text())
    kinds = sorted(record["qa_type"] for record in records)
    assert kinds == ["video_summary_gemini"] * 2 + ["video_summary_gpt"] * 2
    paths = ["--json", desk.out / "captioned.json", "--frames-root", desk.root, "--out", desk.out / "parquet"]
    assert medvidbench.main([*map(str, paths), "--val-ratio", "0"]) == 0
    checked = check(desk.out / "parquet/train.parquet", max_tokens=32_768, read_files=True)
    assert checked.failures == [] and checked.rows.total() == 4


def test_a_wrong_captions_file_replaces_nothing(desk, capsys):
    one, two = desk.write(desk.record(), desk.record(id="another"))
    assert desk.run() == 0 and desk.validate() == 0
    before = (desk.out / "captioned.json").read_bytes()
    assert len(json.loads(before)) == 4
    desk.captions = desk.captions.rename(desk.root / "right.jsonl").with_name("wrong.jsonl")
    assert desk.validate() == 2
    assert "wrong.jsonl is no file. Give the file of medgrpo captions write" in capsys.readouterr().err
    lines = (desk.root / "right.jsonl").read_text().splitlines()
    desk.captions.write_text(lines[0].replace(one.key, "0").replace(two.key, "0") + "\n")
    assert desk.validate() == 2
    assert "wrong.jsonl holds no caption of these 2 requests" in capsys.readouterr().err
    assert (desk.out / "captioned.json").read_bytes() == before
    desk.captions.write_text("".join(line + "\n" for line in lines if one.key in line))
    assert desk.validate() == 0
    assert "1 requests have no caption in" in capsys.readouterr().out
    assert len(json.loads((desk.out / "captioned.json").read_text())) == 2
