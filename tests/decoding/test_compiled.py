"""unified_vl/decoding/decoders/compiled.py: programs say what their modules say."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.test_predict_and_evaluate import call
from tests.decoding.test_search import LIMIT, build, memory_of, sources
from tests.decoding.test_word_rules import ours, words_of
from unified_vl.decoding.decoders import programs
from unified_vl.decoding.decoders.compiled import CompiledBeamDecoder, compile_model
from unified_vl.decoding.decoders.incremental import BeamDecoder
from unified_vl.decoding.protocol import Memory, start
from unified_vl.decoding.search import Hypothesis, beam_search, write
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="a C++ compiler makes the programs"
)
BEAMS = 3  # of all tests: each number has a program, which takes long to make
Pair = tuple[UnifiedVLForConditionalGeneration, UnifiedVLForConditionalGeneration]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs of these tests are not those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A model with biases of each layer, as it is and compiled."""
    plain = build("biases of each layer")
    compiled = copy.deepcopy(plain)
    compile_model(compiled)
    return plain, compiled


@needs_compiler
@pytest.mark.parametrize("rows", [1, 2, 9])
@pytest.mark.parametrize("length", [1, 7])
@torch.inference_mode()
def test_the_encoder_reads_any_number_of_sources_of_any_length(
    pair: Pair, rows: int, length: int
) -> None:
    ids_BS, mask_BS = (part[:rows, :length] for part in sources(rows))
    expected_BSM, found_BSM = (model.encoder(ids_BS, mask_BS)[0] for model in pair)
    torch.testing.assert_close(found_BSM, expected_BSM, atol=1e-5, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("width", [1, BEAMS])
@torch.inference_mode()
def test_a_step_gives_the_same_logits_whatever_was_written(
    pair: Pair, width: int, monkeypatch
) -> None:
    """Over more positions than room is made for at first, with hypotheses that change places
    and sources that leave, down to one."""
    monkeypatch.setattr(BeamDecoder, "first_positions", 16)
    ids_BS, mask_BS = sources(width)
    memory_BSM = pair[0].encoder(ids_BS, mask_BS)[0]
    one, other = (start(model, Memory(memory_BSM, mask_BS), 40, width) for model in pair)
    assert type(one) is BeamDecoder and type(other) is CompiledBeamDecoder
    generator = torch.Generator().manual_seed(width)
    for step in range(40):
        next_BK = torch.randint(3, 150, (one.sources, width), generator=generator)
        expected_RV, found_RV = one.next_logits(next_BK), other.next_logits(next_BK)
        torch.testing.assert_close(found_RV, expected_RV, atol=1e-4, rtol=1e-4)
        origin_BK = torch.randint(0, width, next_BK.shape, generator=generator)
        running_B = torch.ones(one.sources, dtype=torch.bool)
        if step % 4 == 1 and one.sources > 1:
            running_B[step % one.sources] = False
        for decoder in (one, other):
            decoder.reorder(origin_BK)
            decoder.keep(running_B)
    assert one.sources == 1


@needs_compiler
@torch.inference_mode()
def test_a_compiled_search_finds_all_that_a_plain_one_finds(pair: Pair) -> None:
    for rows in (1, 9):
        ids_BS, mask_BS = sources(5, rows)
        memory = Memory(pair[0].encoder(ids_BS, mask_BS)[0], mask_BS)
        expected, found = (beam_search(model, memory, 40, BEAMS) for model in pair)
        for one, other in zip(expected, found, strict=True):
            assert [h.ids for h in other] == [h.ids for h in one]
            for hypothesis, theirs in zip(other, one, strict=True):
                assert hypothesis.score == pytest.approx(theirs.score, abs=1e-5)


@needs_compiler
@pytest.mark.parametrize("beams", [1, BEAMS])
@torch.inference_mode()
def test_a_compiled_model_writes_what_transformers_writes(pair: Pair, beams: int) -> None:
    plain, compiled = pair
    ids_BS, mask_BS = sources(3)
    memory = Memory(compiled.encoder(ids_BS, mask_BS)[0], mask_BS)
    found: list[list[Hypothesis]]
    if beams == 1:
        found = write(compiled, memory, LIMIT)
    else:
        found = beam_search(compiled, memory, LIMIT, beams)
    asked = {"input_ids": ids_BS, "attention_mask": mask_BS, "max_new_tokens": LIMIT}
    theirs = plain.generate(**asked, do_sample=False, num_beams=beams)
    for (best, *_), expected in zip(found, theirs[:, 1:].tolist(), strict=True):
        assert best.ids == expected[: len(best.ids)]
    assert len({len(best.ids) for best, *_ in found}) > 1


@needs_compiler
def test_predict_answers_alike_when_it_compiles(
    tiny, model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tiny.data / "images/1.png"
    asked = ("predict", model_directory, "--task", "tiny_caption", "--image", image)
    expected = call(*asked, "--language", "fa").stdout
    assert expected.strip()
    assert call(*asked, "--language", "fa", "--compile").stdout == expected
    monkeypatch.setattr(programs, "_compile", None)  # not needed any more
    assert call(*asked, "--language", "fa", "--compile").stdout == expected


def test_without_a_compiler_one_message_says_so(model_directory: Path, monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no-such-compiler") as caught:
        UnifiedVL.from_pretrained(model_directory, compile=True)
    assert "C++ compiler" in str(caught.value)


def test_a_compiler_that_does_not_work_is_one_message(model_directory: Path) -> None:
    """In a process of its own, since torch asks for a compiler once."""
    command = [sys.executable, "-m", "unified_vl.cli.main", "predict", model_directory, "--compile"]
    asked = ["--task", "tiny_copy", "--text", "yes"]
    broken = {**os.environ, "CXX": shutil.which("false") or "false"}
    done = subprocess.run([*command, *asked], capture_output=True, text=True, env=broken)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cannot be compiled" in done.stderr and "C++ compiler" in done.stderr


@needs_compiler
@pytest.mark.parametrize(("beams", "penalty"), [(1, 1.0), (BEAMS, 0.6)])
@torch.inference_mode()
def test_what_rules_forbid_is_not_written_either(pair: Pair, beams: int, penalty: float) -> None:
    memories = [memory_of(model, *sources(0)) for model in pair]
    words = words_of(pair[0], memories[0], "all")
    expected, found = (
        ours(model, memory, "all", beams, penalty, words)
        for model, memory in zip(pair, memories, strict=True)
    )
    assert found == expected
