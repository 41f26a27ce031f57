"""How FLUX.2-klein reads a prompt: states of three layers side by side, padded; alone, or beside a picture.

>>> reading = Reading(text_encoder, tokenizer)
>>> reading.alone(["a red star"])[0].shape  # (512, 7680) at full size

Nothing masks the padding from the transformer, so the padding's states are part of the context.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import Flux2KleinPipeline
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import pad
from transformers import BatchFeature, Qwen2Tokenizer, Qwen3Model

from dopsd.dataset.batching import ROWS, rows_alike
from dopsd.vision_language import VisionLanguage

_LONGEST = 512
"""Tokens that inference pads a prompt to, and cuts it off at, unless its tokenizer was made for fewer."""
_SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"


class Reading:
    """The base's Qwen3 with its tokenizer; and, if it is to see, a VLM that carries the same weights."""

    def __init__(self, text_encoder: Qwen3Model, tokenizer: Qwen2Tokenizer, seeing: VisionLanguage | None) -> None:
        """Take loaded models."""
        self._text_encoder, self._tokenizer, self._seeing = text_encoder, tokenizer, seeing

    @property
    def layers(self) -> list[int]:
        """Name the states that are read: after a quarter, a half and three quarters of the layers (9, 18, 27 of 36)."""
        depth = self._text_encoder.config.num_hidden_layers
        return [depth * quarter // 4 for quarter in (1, 2, 3)]

    @property
    def longest(self) -> int:
        """Tokens of a padded prompt."""
        return min(_LONGEST, self._tokenizer.model_max_length)

    def alone(self, captions: Sequence[str]) -> list[Tensor]:
        """Read text by the pipeline's own method; raises ValueError for a caption that it would cut off."""
        states: list[Tensor] = []
        for start in range(0, len(captions), ROWS):
            prompts = list(captions[start : start + ROWS])
            for prompt in prompts:
                self._refuse_longer(prompt, len(self._tokenizer(self._chat(prompt))["input_ids"]))
            states += Flux2KleinPipeline._get_qwen3_prompt_embeds(
                self._text_encoder,
                self._tokenizer,
                prompts,
                max_sequence_length=self.longest,
                hidden_states_layers=self.layers,
            )
        return states

    def beside(self, captions: Sequence[str], images: Sequence[Image | None]) -> list[Tensor]:
        """Let the VLM read the same chat with a picture in front of the caption; without one, what `alone` reads.

        The picture's tokens come on top of the padded length. Raises ValueError for a caption too long to be read.
        """
        assert self._seeing is not None, "load the encoder with a teacher context that reads pictures"
        turns = [self._turn(*pair) for pair in zip(captions, images, strict=True)]
        states: dict[int, Tensor] = {}
        for rows in rows_alike([_kind(turn) for turn in turns]):
            inputs = _together([turns[row] for row in rows]).to(self._seeing.model.device)
            read = self._seeing.model.model(**inputs, output_hidden_states=True, use_cache=False).hidden_states
            states |= dict(zip(rows, torch.cat([read[layer] for layer in self.layers], dim=-1), strict=True))
        return [states[row] for row in range(len(turns))]

    def _turn(self, caption: str, image: Image | None) -> dict[str, Tensor]:
        """Prepare one row for the VLM, with the padding and the positions that the pipeline's text path gives it."""
        assert self._seeing is not None
        processor: Any = self._seeing.processor
        text = self._chat(caption if image is None else _SHOWN + caption)
        turn = processor(text=[text], images=image, return_tensors="pt", return_mm_token_type_ids=True)
        ids = turn["input_ids"]
        signs = processor.vision_start_token_id, processor.image_token_id, processor.vision_end_token_id
        longest = self.longest + sum(int((ids == sign).sum()) for sign in signs)
        self._refuse_longer(caption, ids.shape[1] - longest + self.longest)
        padding = (0, longest - ids.shape[1])
        return {
            **turn,
            "input_ids": pad(ids, padding, value=self._tokenizer.pad_token_id),
            "attention_mask": pad(turn["attention_mask"], padding),
            "mm_token_type_ids": pad(turn["mm_token_type_ids"], padding),
            "position_ids": self._positions(turn, padding[1]),
        }

    def _positions(self, turn: BatchFeature, padding: int) -> Tensor:
        """Count on through the padding, as text positions do; left to itself, the VLM puts all of it on one place."""
        assert self._seeing is not None
        ids = turn["input_ids"]
        if "image_grid_thw" not in turn:
            return torch.arange(ids.shape[1] + padding).expand(3, 1, -1)
        places = self._seeing.model.model.get_rope_index(
            ids, mm_token_type_ids=turn["mm_token_type_ids"], image_grid_thw=turn["image_grid_thw"]
        )[0]
        return torch.cat([places, places.max() + 1 + torch.arange(padding).expand(3, 1, -1)], dim=-1)

    def _chat(self, content: str) -> str:
        """Write the turn as the pipeline does."""
        text: Any = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def _refuse_longer(self, caption: str, length: int) -> None:
        if length > self.longest:
            raise ValueError(f"a caption of {length} tokens, {self.longest} are read: shorten {caption[:80]!r}...")


def _kind(turn: dict[str, Tensor]) -> tuple[int, bool]:
    return turn["input_ids"].shape[1], "pixel_values" in turn


def _together(turns: Sequence[dict[str, Tensor]]) -> BatchFeature:
    """Join rows of one kind; positions have their rows in the second dimension."""
    return BatchFeature(
        {key: torch.cat([turn[key] for turn in turns], dim=int(key == "position_ids")) for key in turns[0]}
    )
