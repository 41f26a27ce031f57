"""The row of captions.jsonl that an image gets, from what a person wrote or from what the model said.

>>> written(image, "a red star", "vlm@3f0c5e0ff1a2", Caption(instruction="Describe [V].")).caption  # "[V], a red star"
"""

from tasks.images.caption_text import with_placeholder
from tasks.images.rows import CaptionRow, ImageRow
from tasks.sections import Caption


def kept(image: ImageRow, caption: str, placeholder: str) -> CaptionRow:
    """Keep a person's words as they are, and say so where they leave the concept out."""
    is_named = all(placeholder in one for one in image.captions)
    notes = () if is_named else (f"does not name the concept: there is no {placeholder} in it",)
    return CaptionRow(image.id, caption, "human", None, notes, image.others)


def written(image: ImageRow, text: str, model: str, settings: Caption) -> CaptionRow:
    """Put the placeholder in front where the instruction asks for it and the model forgot it."""
    if settings.placeholder not in settings.instruction:
        return CaptionRow(image.id, text, "vlm", model)
    caption = with_placeholder(text, settings.placeholder)
    notes = () if caption == text else (f"{settings.placeholder} put in front",)
    return CaptionRow(image.id, caption, "vlm", model, notes)
