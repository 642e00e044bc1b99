"""Phrases and the frames of their moments: the definition, ranks, learning."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F
from torch.testing import assert_close

from tests.processes import run_ranks
from tests.training.conftest import COLOURS, ENGINES, RUN
from tests.training.objective_outputs import PROCESS, first_batch, output_of
from tests.training.test_phrase_alignment import STAGES, WORKER, numbers, write_mixture
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.files import write_atomically
from unified_vl.kinds.hooks.segments import frame_tag
from unified_vl.specs.load import load_run
from unified_vl.training.objectives.phrase_alignment import TEMPERATURE
from unified_vl.training.objectives.reading.moments_in_videos import covered_frames
from unified_vl.training.objectives.reading.source_words import SourceWords
from unified_vl.training.objectives.reading.target_bins import bins_of_targets
from unified_vl.training.trainer import train

SIDE, MOST = 8, 4  # pixels of a frame; frames that are read of a clip
FIND = f"""
task: see
version: 1
family: seeing
about: When is the square of a colour seen?
data:
  {{reader: jsonl, path: "find_{{split}}.jsonl", splits: {{train: train, validation: train}},
   languages: [en]}}
fields:
  clip: {{kind: video, column: clip, frames: {MOST}}}
  colour: {{kind: text, column: colour}}
  when: {{kind: moment, column: when, duration: frames, many: true}}
example: {{source: "{{task}} {{clip}} {{colour}}", target: "{{when}}"}}
generate: {{allow: moment, max_tokens: 6}}
score: [{{metric: moment_iou, against: when, primary: true}}]
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on clips of two to four frames, in each of which two squares are seen, in
    any places; a row asks when one of them is. One in two clips asks for its first or last frame
    alone, or for both."""
    root = tmp_path_factory.mktemp("films")
    draw, rows = random.Random(0), []
    (root / "data").mkdir()
    for number in range(64):
        count = draw.choice([2, 3, 4])
        colour, *others = draw.sample(list(COLOURS), len(COLOURS))
        seen = draw.choice([{0}, {count - 1}, {0, count - 1}, set(range(count))])
        names = []
        for place in range(count):
            shown = [colour if place in seen else others[0], draw.choice(others[1:])]
            image, half = Image.new("RGB", (SIDE, SIDE), "grey"), SIDE // 2
            for quarter, each in zip(draw.sample(range(4), 2), shown, strict=True):
                left, top = quarter % 2 * half, quarter // 2 * half
                image.paste(each, (left, top, left + half, top + half))
            names.append(f"{number}-{place}.png")
            image.save(root / "data" / names[-1])
        begins = [place for place in sorted(seen) if place - 1 not in seen]
        ends = [place + 1 for place in sorted(seen) if place + 1 not in seen]
        when = [list(span) for span in zip(begins, ends, strict=True)]
        rows.append({"clip": names, "colour": colour, "when": when, "frames": count})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_atomically(root / "data/find_train.jsonl", lines)
    text = train_text_tokenizer([*COLOURS] * 9, root / "tokenizer/text.model", 280)
    frames = [frame_tag(number) for number in range(MOST)]
    vocabulary = Vocabulary(len(text), standard_tags(["en"], ["see"], ["seeing"], frames), 12)
    write_atomically(root / "tokenizer/vocabulary.json", vocabulary.to_json())
    write_mixture(root, FIND)
    write_atomically(root / "run.yaml", RUN.format(root=root, engines=ENGINES))
    return root


@pytest.mark.parametrize("way", ["padded", "packed", "two streams", "resampler"])
def test_the_loss_is_the_divergence_of_the_frames_that_show_a_phrase(films: Path, way: str) -> None:
    vision = (
        "{kind: patches, image_size: [8, 8], patch_size: 2, "
        "pool: {kind: resampler, tokens: 3, layers: 1}}"
    )
    more = {
        "packed": ["packing=true"],
        "two streams": ["model.encoder={kind: two_streams}"],
        "resampler": [f"model.vision={vision}"],
    }
    settings = ["validation_rows=0", "batch_size=16", *more.get(way, ())]
    first = first_batch(load_run(films / "run.yaml", settings), "see")
    model, codec, batch = first.model.eval(), first.codec, first.batch
    (objective,) = first.objectives
    assert batch.labels_BT is not None
    assert len(set(batch.images_in_rows)) > 1, "some have fewer frames than others"
    found = objective.loss(output_of(model, batch, objective), batch, PROCESS)

    state_BSM = model.encode(
        batch.input_ids_BS, batch.attention_mask_BS, batch.pixel_values_NCHW
    ).float()
    total, vocabulary = torch.zeros(()), codec.vocabulary
    rows = zip(
        batch.input_ids_BS.tolist(), batch.labels_BT.tolist(), batch.images_in_rows, strict=True
    )
    for row, (ids_S, labels_T, count) in enumerate(rows):
        end = ids_S.index(vocabulary.eos_id)
        words = [i for i in range(end) if vocabulary.kind_of(ids_S[i]) == "piece"]
        phrase_M = state_BSM[row, words].mean(0)
        weight_F = torch.zeros(count)
        for frame in range(count):
            tag = vocabulary.tag_id(frame_tag(frame))
            places = [i for i in range(end) if ids_S[i] == tag]
            assert len(places) == (3 if way == "resampler" else 4)
            for place in places:
                cosine = F.cosine_similarity(state_BSM[row, place], phrase_M, 0)
                weight_F[frame] += (cosine / TEMPERATURE).exp()
        moments = codec.shapes.decode_run(labels_T[: labels_T.index(vocabulary.eos_id)], "moment")
        share_F = torch.tensor(
            [max(span(m.start, m.end, frame, count) for m in moments) for frame in range(count)]
        )
        right_F = share_F / share_F.sum()
        found_F = weight_F / weight_F.sum()
        total = total + (torch.special.xlogy(right_F, right_F) - right_F * found_F.log()).sum()
    assert_close(found, total, rtol=1e-4, atol=1e-4)


def span(start: float, end: float, frame: int, count: int) -> float:
    """How much of a frame's part of a video lies between two fractions."""
    return max(0.0, min(end, (frame + 1) / count) - max(start, frame / count)) * count


MOMENTS = st.lists(st.tuples(*[st.integers(0, 59)] * 2).map(sorted), min_size=1, max_size=3)


@given(st.lists(st.tuples(MOMENTS, st.integers(1, 6)), min_size=1, max_size=4))
def test_moments_of_targets_cover_as_much_of_frames_as_of_the_video(
    rows: list[tuple[list[list[int]], int]],
) -> None:
    locations, bins = range(100, 160), 60
    longest = max(len(moments) for moments, _ in rows)
    labels_BT = torch.full((len(rows), longest * 2 + 2), -100)
    for row, (moments, _) in zip(labels_BT, rows, strict=True):
        ids = [each + locations.start for moment in moments for each in moment]
        row[1 : len(ids) + 1] = torch.tensor(ids)
        row[len(ids) + 1] = 1
    moment_BK2 = bins_of_targets(labels_BT, locations, 2)
    share_BF = covered_frames(moment_BK2, torch.tensor([count for _, count in rows]), bins)
    assert share_BF.shape == (len(rows), max(count for _, count in rows))
    assert share_BF.max() <= 1 + 1e-6
    for share_F, (moments, count) in zip(share_BF, rows, strict=True):
        film, shares = torch.zeros(120), []  # half of a bin a number
        for start, end in moments:
            film.zero_()[2 * start + 1 : max(2 * end + 1, 2 * start + 3)] = 1  # a bin at least
            shares.append(film.view(count, -1).mean(1))
        assert_close(share_F[:count], torch.stack(shares).amax(0), rtol=1e-4, atol=1e-5)
        assert not share_F[count:].any()


def test_it_is_learnt(films: Path, tmp_path: Path) -> None:
    """Among frames that training saw, the right ones are told from the others."""
    settings = ("steps=120", "optimizer.lr=1e-2", "model.dropout_rate=0", "checkpoint_every=120")
    more = ("validation_rows=0", "batch_size=16")
    run = load_run(films / "run.yaml", [f"output={tmp_path}", *settings, *more])
    train(run, progress=False)
    found = [values[-1] for values in numbers(tmp_path).values()]
    assert found[0] > 0.4, "of the frames none is known"
    assert sum(found[-10:]) / 10 < 0.1


@pytest.mark.parametrize("more", [(), ("packing=true",)], ids=["padded", "packed"])
def test_two_ranks_are_as_one(films: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    settings = ["model.dropout_rate=0.0", "steps=3", "checkpoint_every=100", "validation_rows=0"]
    run = load_run(films / "run.yaml", [f"output={tmp_path / 'alone'}", *settings])
    train(run, progress=False)
    run_ranks(WORKER, films / "run.yaml", tmp_path, *STAGES, *settings, *more)
    expected = numbers(tmp_path / "alone")
    for stage in STAGES:
        for step, values in numbers(tmp_path / stage.stem).items():
            assert values == pytest.approx(expected[step], rel=1e-4, abs=1e-5), (stage.stem, step)


@pytest.mark.parametrize("lacks", ["moment", "phrase"])
def test_a_row_that_lacks_one_of_both_says_nothing(films: Path, lacks: str) -> None:
    """Targets that are empty, and sources that were cut to no word."""
    run = load_run(films / "run.yaml", ["validation_rows=0"])
    first = first_batch(run, "see")
    (objective,), batch, vocabulary = first.objectives, first.batch, first.codec.vocabulary
    assert batch.labels_BT is not None
    output = output_of(first.model.eval(), batch, objective)
    assert objective.loss(output, batch, PROCESS).detach() > 0
    if lacks == "moment":
        batch.labels_BT[:] = -100
        batch.labels_BT[:, 0] = vocabulary.eos_id
    else:
        words_BS = SourceWords(vocabulary).of(batch)
        batch.input_ids_BS[words_BS] = vocabulary.tag_id("task:see")
    assert objective.loss(output, batch, PROCESS).detach() == 0
