"""Frames of a video are images whose features have the embedding of their number added."""

from __future__ import annotations

import torch

from unified_vl.data.packing import pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

IMAGE, FRAMES = 7, [95, 8]  # ids need not follow each other


def model() -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    vision = {
        "kind": "patches",
        "image_size": [8, 8],
        "patch_size": 4,
        "pool": {"kind": "average", "grid": [1, 2]},
    }
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    config = UnifiedVLConfig(
        vocab_size=96, image_token_id=IMAGE, frame_token_ids=FRAMES, vision=vision, **sizes
    )
    return UnifiedVLForConditionalGeneration(config).double()


def test_two_frames_are_two_images_and_their_times() -> None:
    encoder = model().eval().encoder
    pixels_2CHW = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    ids_1S = torch.tensor([[20, *[FRAMES[0]] * 2, *[FRAMES[1]] * 2, 21]])
    found_1SM, _ = encoder._embed(ids_1S, None, pixels_2CHW)
    for frame, pixels_CHW in enumerate(pixels_2CHW):
        alone_1SM, _ = encoder._embed(
            torch.tensor([[20, IMAGE, IMAGE, 21]]), None, pixels_CHW[None]
        )
        places = slice(1 + 2 * frame, 3 + 2 * frame)
        expected_2M = alone_1SM[0, 1:3] + encoder.embedding.weight[FRAMES[frame]]
        torch.testing.assert_close(found_1SM[0, places], expected_2M)
    torch.testing.assert_close(found_1SM[0, [0, 5]], encoder.embedding.weight[[20, 21]])


def test_packed_videos_images_and_texts_learn_as_padded_ones() -> None:
    torch.manual_seed(1)
    own = model().train()
    sources, targets = (6, 4, 3), (3, 2, 4)
    ids_BS = torch.zeros(3, 8, dtype=torch.int64)
    ids_BS[0, :6] = torch.tensor([20, *[FRAMES[0]] * 2, *[FRAMES[1]] * 2, 21])
    ids_BS[1, :4] = torch.tensor([22, IMAGE, IMAGE, 23])
    ids_BS[2, :3] = torch.tensor([24, 25, 26])
    labels_BT = torch.full((3, 4), -100)
    for row, length in enumerate(targets):
        labels_BT[row, :length] = torch.randint(10, 90, (length,))
    pixels_NCHW = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)

    def gradients(packed: bool) -> dict[str, torch.Tensor]:
        own.zero_grad()
        own(
            input_ids=ids_BS,
            attention_mask=ids_BS.gt(0).long(),
            pixel_values=pixels_NCHW,
            decoder_input_ids=own.prepare_decoder_input_ids_from_labels(labels_BT),
            targets=Targets(labels_BT, 0.0, 0.0, False),
            packing=pack(sources, targets, 8, 4) if packed else None,
        ).target_loss.backward()
        return {name: p.grad.clone() for name, p in own.named_parameters() if p.grad is not None}

    padded, packed = gradients(False), gradients(True)
    assert padded["encoder.embedding.weight"][FRAMES].abs().sum(1).min() > 0
    assert packed.keys() == padded.keys()
    for name, expected in padded.items():
        assert (packed[name] - expected).norm() <= 1e-6 * max(float(expected.norm()), 1e-2), name


def test_a_step_without_a_video_uses_every_weight() -> None:
    """ZeRO 3 would apply the last gradient again of a weight that a step leaves out."""
    own = model().train()
    labels_BT = torch.tensor([[30, 31]])
    own(input_ids=torch.tensor([[20, 21, 1]]), labels=labels_BT).loss.backward()
    assert [name for name, p in own.named_parameters() if p.grad is None] == []
    assert own.encoder.embedding.weight.grad[FRAMES].abs().max() == 0


def test_it_learns_whether_a_film_gets_lighter_or_darker() -> None:
    """A frame alone is a hint at most, and so are both without their order."""
    lighter, darker = 30, 31
    own = model().float().train()
    optimizer = torch.optim.AdamW(own.parameters(), lr=3e-3)
    draw = torch.Generator().manual_seed(0)

    def films(count: int) -> dict[str, torch.Tensor]:
        grey_N2 = torch.randint(0, 256, (count, 2), generator=draw)
        grey_N2[:, 1] = (grey_N2[:, 0] + 60 + grey_N2[:, 1] % 120) % 256
        pixels_NCHW = grey_N2.flatten()[:, None, None, None].expand(-1, 3, 8, 8).to(torch.uint8)
        label_N1 = torch.where(grey_N2[:, 1:] > grey_N2[:, :1], lighter, darker)
        ids_S = torch.tensor([20, *[FRAMES[0]] * 2, *[FRAMES[1]] * 2, 1])
        return {
            "input_ids": ids_S.expand(count, -1),
            "attention_mask": torch.ones(count, 6, dtype=torch.int64),
            "pixel_values": pixels_NCHW,
            "labels": label_N1,
        }

    for _ in range(150):
        optimizer.zero_grad()
        own(**films(32)).loss.backward()
        optimizer.step()
    unseen = films(200)
    with torch.no_grad():
        logits_N1V = own.eval()(**unseen).logits
    right = (logits_N1V.argmax(-1) == unseen["labels"]).float().mean()
    assert right > 0.9, right
