# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two models over HTTP: what they are asked, faults, the cache, and the cost before anything is asked."""

import base64
import io
import json

import pytest
from aiohttp import web
from judge_server import answer, completion, cut, status
from PIL import Image


def test_both_models_see_frames_with_times_and_the_annotations(desk):
    [request] = desk.write(desk.record())
    assert desk.run("--frames", "4") == 0
    for slot, server in desk.servers.items():
        [body] = server.requests
        assert body["model"] == {"gpt": "one", "gemini": "two"}[slot] and body["max_tokens"] == 1024
        system, user = body["messages"]
        texts = [part["text"] for part in user["content"] if part["type"] == "text"]
        assert texts[:4] == ["0.0 s:", "10.0 s:", "19.0 s:", "29.0 s:"]
        assert "hook dissect gallbladder" in texts[-1] and "cholecystectomy" in texts[-1]
        assert sum(part["type"] == "image_url" for part in user["content"]) == 4
    assert {(line["slot"], line["key"]) for line in desk.lines()} == {("gpt", request.key), ("gemini", request.key)}


def test_the_box_of_a_region_is_drawn_on_its_frame(desk):
    desk.write(desk.record("region_caption"))
    assert desk.run("--frames", "2") == 0
    parts = desk.servers["gpt"].requests[0]["messages"][1]["content"]
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert [part["text"] for part in parts if part["type"] == "text"][:3] == ["0.0 s:", "4.0 s:", "29.0 s:"]
    corners = []
    for url in pictures:
        picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
        red, green, blue = picture.getpixel((35, 10))
        corners.append(green > 200 and red < 120)
    assert corners == [False, True, False]


def test_each_endpoint_gets_its_own_key(desk):
    seen = {}

    def note(slot):
        async def react(request):
            seen[slot] = request.headers["Authorization"]
            return web.json_response(completion("The hook dissects the gallbladder with care today."))

        return react

    for slot, server in desk.servers.items():
        server.default = note(slot)
    desk.write(desk.record())
    assert desk.run() == 0
    assert seen == {"gpt": "Bearer sk-first", "gemini": "Bearer sk-second"}


def test_faults_are_outlived_and_nothing_is_paid_twice(desk, capsys):
    desk.servers["gpt"].script = [status(429, {"retry-after": "0"}), cut(), status(503)]
    desk.write(desk.record(), desk.record(id="another"))
    assert desk.run() == 0
    assert len(desk.lines()) == 4 and desk.asked() == {"gpt": 5, "gemini": 2}
    # Killed in the middle of a line: that one is asked for again, the others are not.
    desk.captions.write_text(desk.captions.read_text()[:-30])
    assert desk.run() == 0
    assert sum(desk.asked().values()) == 8
    assert desk.run() == 0
    assert sum(desk.asked().values()) == 8
    assert "0 written, 4 there already, 0 failed" in capsys.readouterr().out


def test_what_fails_is_told_and_asked_for_by_the_next_run(desk, capsys):
    desk.servers["gemini"].script = [status(400)]
    desk.write(desk.record())
    assert desk.run() == 1
    assert "1 failed" in (out := capsys.readouterr().out) and "HTTP 400" in out
    assert desk.run() == 0 and len(desk.lines()) == 2


def test_a_refused_key_ends_the_job_with_its_remedy(desk, capsys):
    desk.servers["gpt"].default = status(401)
    desk.write(*(desk.record(id=str(number)) for number in range(50)))
    assert desk.run("--concurrency", "2") == 2
    assert "does not accept the key" in capsys.readouterr().err
    assert desk.asked()["gpt"] < 10


def test_the_cost_is_told_before_and_can_forbid_the_start(desk, capsys):
    [request, _] = desk.write(desk.record(), desk.record("region_caption"))
    prices = ["--prices", "2", "8", "1", "4"]
    assert desk.run("--dry-run", *prices) == 0
    out = capsys.readouterr().out
    tokens = 255 * 16 + len(request.text()) // 4
    assert "gpt (one): 2 captions" in out and "USD" in out
    assert tokens > 4000
    assert desk.run("--max-cost", "0.001", *prices) == 2
    assert desk.run("--max-cost", "5") == 2  # prices unknown
    assert desk.asked() == {"gpt": 0, "gemini": 0} and not desk.captions.exists()
    assert desk.run("--max-cost", "5", *prices) == 0
    capsys.readouterr()
    assert desk.run("--dry-run", *prices) == 0
    assert "gpt (one): 0 captions" in capsys.readouterr().out


def test_a_dense_caption_has_one_text_for_each_event_or_is_asked_again(desk):
    good = json.dumps({"captions": ["The hook dissects.", "The bag is closed."]})
    desk.servers["gpt"].script = [answer("No list."), answer("```json\n" + good + "\n```")]
    desk.servers["gemini"].script = [answer(json.dumps({"captions": ["one"]}))] * 2
    desk.write(desk.record("dense_captioning"))
    assert desk.run() == 1
    [line] = desk.lines()
    assert line["slot"] == "gpt" and line["captions"] == ["The hook dissects.", "The bag is closed."]
    first, again = desk.servers["gpt"].requests
    assert "0.0-12.0 s: dissection" in first["messages"][1]["content"][-1]["text"]
    assert len(again["messages"][1]["content"]) == len(first["messages"][1]["content"]) + 1


def test_a_line_that_is_no_request_is_named(desk, capsys):
    desk.file.write_text(json.dumps(desk.record()) + "\n{}\n")
    assert desk.run() == 2
    assert "requests.jsonl, line 2: is no request" in capsys.readouterr().err
    desk.write(desk.record(), desk.record(metadata={"fps": "0", "video_id": "VID01"}))
    assert desk.run() == 2
    assert "requests.jsonl, line 2: metadata.fps" in capsys.readouterr().err
    desk.file.write_bytes(json.dumps(desk.record()).encode() + b'\n{"id": "caf\xe9"}\n')
    assert desk.run() == 2
    assert "requests.jsonl, line 2: is no request" in capsys.readouterr().err
    record = desk.record()
    record["evidence"]["boxes"] = {desk.paths[0]: [["hook", [60, 10, 10, 50]]]}
    desk.write(record)
    assert desk.run() == 2
    assert "requests.jsonl, line 1: is no request" in capsys.readouterr().err
    desk.write(desk.record())
    desk.captions.write_text("{}\n")
    assert desk.run() == 2
    assert "captions.jsonl, line 1: is no caption" in capsys.readouterr().err


def test_a_reply_that_was_cut_is_asked_for_again(desk):
    desk.servers["gpt"].script = [answer("The hook dissects the", finish_reason="length")]
    desk.write(desk.record())
    assert desk.run() == 0 and desk.asked() == {"gpt": 2, "gemini": 1}


@pytest.mark.parametrize(
    ("command", "options"), [("run", ["--frames", "0"]), ("run", ["--frames", "-5"]), ("validate", ["--review", "-1"])]
)
def test_numbers_that_make_no_sense(desk, capsys, command, options):
    desk.write(desk.record())
    with pytest.raises(SystemExit) as stopped:
        getattr(desk, command)(*options)
    assert stopped.value.code == 2 and f"argument {options[0]}: {options[1]} is below" in capsys.readouterr().err
