"""Prompts as judges are told them.

>>> plain_prompt("a [V] on a blue background", "star", "[V]")  # "a star on a blue background"
"""


def plain_prompt(prompt: str, class_noun: str, placeholder: str) -> str:
    """Say the prompt to a model that has never met the concept: the placeholder becomes the class noun.

    "a [V] star" with the noun "star" is "a star", and so is "a [V]". Without a noun the concept is a "thing".
    """
    noun = class_noun.replace("_", " ") or "thing"
    return prompt.replace(f"{placeholder} {noun}", noun).replace(placeholder, noun)
