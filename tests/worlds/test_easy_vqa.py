import numpy as np

from unified_vl.worlds.easy_vqa import question_rows


def test_the_published_test_split_is_kept_and_validation_shares_no_image_with_train() -> None:
    rows = question_rows(np.random.default_rng(0))
    assert len(rows["test"]) == 9_673
    assert len(rows["train"]) + len(rows["validation"]) == 38_575
    images = {split: {row["image"] for row in part} for split, part in rows.items()}
    assert len(images["validation"]) == 200 and len(images["test"]) == 1_000
    assert images["train"].isdisjoint(images["validation"])
    assert all(image.startswith("easy_vqa/test/") for image in images["test"])
    assert len({row["answer"] for row in rows["test"]}) == 13
    keys = [row["key"] for part in rows.values() for row in part]
    assert len(keys) == len(set(keys))
