"""Texts and translations find each other: the definition, ranks, resume, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tests.training.backbone_runs import run_in_way, write_world
from tests.training.conftest import COLOURS, SAY, SEE
from tests.training.exact_runs import assert_ranks_are_as_one, assert_resumes_exactly
from tests.training.objective_outputs import PROCESS, first_batch, output_of
from unified_vl.data.batching import IGNORED
from unified_vl.errors import UserError
from unified_vl.specs.load import load_mixture

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
STAGES = [ENGINES / f"zero{stage}.json" for stage in (0, 1, 2, 3)]
ASKED = ", text_contrast: 0.5"


def write_mixture(folder: Path, see: str = "", say: str = ASKED, spec: str = SAY) -> Path:
    """A mixture of both tasks of squares.

    Args:
        folder: of it and of its specs.
        see: keys of the task of images in the mixture.
        say: of the task of texts.
        spec: of the task of texts.
    """
    (folder / "see.yaml").write_text(SEE)
    (folder / "say.yaml").write_text(spec)
    tasks = f"tasks:\n  - {{spec: see.yaml{see}}}\n  - {{spec: say.yaml{say}}}\n"
    (folder / "mixture.yaml").write_text(f"mixture: translations\nversion: 1\n{tasks}")
    return folder / "mixture.yaml"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Of a run of that mixture."""
    return f"mixture={write_mixture(tmp_path_factory.mktemp('translations'))}", "validation_rows=0"


@pytest.fixture(scope="module")
def world(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("backbones"), squares, ("bart",))


@pytest.mark.parametrize("way", ["padded", "packed", "two streams", "bart"])
def test_the_loss_is_that_of_each_word_and_the_one_that_fits_it_best(
    squares: Path, world: Path, keys: tuple[str, ...], tmp_path: Path, way: str
) -> None:
    first = first_batch(run_in_way(way, squares, world, tmp_path / "out", keys), "say")
    model, codec, batch = first.model.eval(), first.codec, first.batch
    (objective,) = first.objectives
    model.requires_grad_(True)
    found = objective.loss(output_of(model, batch, objective), batch, PROCESS)

    sources, targets = [], []
    for source_S, label_T in zip(batch.input_ids_BS, batch.labels_BT, strict=True):
        kept_S = [codec.vocabulary.kind_of(each) == "piece" for each in source_S.tolist()]
        mask_S = torch.tensor(kept_S) & (source_S != codec.vocabulary.eos_id)
        assert codec.text.decode(source_S[mask_S].tolist()) in {*COLOURS, *COLOURS.values()}
        read_S = source_S != codec.vocabulary.pad_id
        mask_S &= read_S
        (read_SM,) = model.encode(source_S[None], read_S[None].long())
        sources.append(F.normalize(read_SM[mask_S], dim=-1))
        label_T = label_T[label_T != IGNORED]
        (read_TM,) = model.encode(label_T[None], torch.ones_like(label_T)[None])
        targets.append(F.normalize(read_TM[:-1], dim=-1))
    alike_BB = torch.stack(
        [
            torch.stack([(target @ source.T).amax(1).mean() for source in sources])
            for target in targets
        ]
    )
    own_B = torch.arange(len(targets))
    both = (F.cross_entropy(each / 0.1, own_B) for each in (alike_BB, alike_BB.T))
    expected = sum(both, torch.zeros(())) / 2
    assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weights = [each for each in model.parameters() if each.requires_grad]
    for one, other in zip(
        torch.autograd.grad(found, weights, allow_unused=True),
        torch.autograd.grad(expected, weights, allow_unused=True),
        strict=True,
    ):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_resume_is_exact(squares: Path, keys: tuple[str, ...], tmp_path: Path) -> None:
    assert_resumes_exactly(squares / "run.yaml", keys, "text_contrast", tmp_path)


@pytest.mark.parametrize("more", [(), ("packing=true",)], ids=["padded", "packed"])
def test_two_ranks_are_as_one(
    squares: Path, keys: tuple[str, ...], tmp_path: Path, more: tuple[str, ...]
) -> None:
    assert_ranks_are_as_one(squares / "run.yaml", keys, "text_contrast", tmp_path, STAGES, more)


OTHERS = SAY.replace(
    'target: "{translation}"}',
    'target: "{translation} {right}", mismatch: {field: text, slot: right, right: y, wrong: n}}',
)
REFUSED = {
    "of images": ({"see": ASKED}, "does not turn one text into another", None),
    "texts of other rows": ({"spec": OTHERS}, "no `mismatch`", None),
    "negative": ({"say": ", text_contrast: -1"}, "-1", None),
    "not a number": ({"say": ", text_contrast: .nan"}, "nan", None),
    "misspelt": ({"say": ", text_contrest: 1"}, "text_contrest", "text_contrast"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(tmp_path: Path, case: str) -> None:
    given, said, nearest = REFUSED[case]
    mixture = write_mixture(tmp_path, **given)
    with pytest.raises(UserError) as caught:
        load_mixture(mixture)
    assert said in str(caught.value)
    assert str(mixture) in str(caught.value)
    assert "text_contr" in str(caught.value)
    assert nearest is None or nearest in str(caught.value)
