"""The sheet of what augmentation does."""

import numpy as np
import pytest
import torch
from made_batches import made_batch

from facecrop.errors import ConfigError
from facecrop.training.augment.preview import MIX_ROWS, TRANSFORM_ROWS, preview
from facecrop.training.settings.augment import AugmentSettings, CutMix, Flip, Gray

CHOSEN = AugmentSettings(transforms=(Flip(),), mix=(CutMix(region="half"),))
LINE, MARGIN, GAP, CAPTION = 132, 16, 4, 20


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return a tile of the left block, of square pictures."""
    top, left = MARGIN + row * LINE + CAPTION, MARGIN + column * (112 + GAP)
    return sheet[top : top + 112, left : left + 112].astype(int)


def test_the_sheet_shows_every_transform_before_and_after() -> None:
    batch = made_batch(6, 112, 112)
    sheet = preview(batch, CHOSEN)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * MARGIN + (12 + 4) * LINE, sheet.shape[1], 3)
    for row, transform in enumerate(TRANSFORM_ROWS):
        before = batch.images[row % 6].permute(1, 2, 0).numpy()
        assert np.array_equal(tile(sheet, row, 0), before)
        changes = [np.abs(tile(sheet, row, column) - before).mean() for column in (1, 2, 3)]
        assert max(changes) > 0.1, transform.name


def test_the_last_rows_show_the_chosen_settings() -> None:
    batch = made_batch(6, 112, 112)
    sheet = preview(batch, AugmentSettings(transforms=(Gray(p=1),)))
    for row in range(4):
        before = batch.images[row].permute(1, 2, 0).numpy()
        assert np.array_equal(tile(sheet, 12 + row, 0), before)
        for column in range(1, 9):
            shown = tile(sheet, 12 + row, column)
            assert np.abs(shown - shown[:, :, :1]).max() <= 1
            assert np.abs(shown[:, :, 0] - before @ [0.2989, 0.587, 0.114]).max() <= 2


def test_equal_seeds_give_equal_sheets_and_others_do_not() -> None:
    batch = made_batch(4)
    sheet = preview(batch, CHOSEN)
    assert np.array_equal(sheet, preview(batch, CHOSEN))
    assert not np.array_equal(sheet, preview(batch, CHOSEN, seed=1))


@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("size", [(36, 28), (20, 50)])
def test_any_number_and_shape_of_pictures_will_do(n: int, size: tuple[int, int]) -> None:
    batch = made_batch(n, *size)
    batch.regions[:] = torch.nan
    assert preview(batch, CHOSEN).shape[0] == 2 * MARGIN + (12 + min(n, 4)) * LINE


def test_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        preview(made_batch(2).take(torch.arange(0)), CHOSEN)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="no label named"):
        preview(made_batch(2), AugmentSettings(transforms=(Flip(labels=("blue",)),)))


def test_there_are_rows_for_every_mix() -> None:
    assert len({(row.name, row.region) for row in MIX_ROWS}) == len(MIX_ROWS) == 9
