"""The tokenizers of the tiny models: BPE over the world's words, with Qwen's special tokens and a ChatML template.

Any text can be encoded: words of the world are one token each, everything else falls to bytes.
"""

import json
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from recipes.tiny.world import PLACEHOLDER, all_concepts, caption, concept_name, full_caption, scene_of

SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip

DESCRIBE = "Describe this image in one sentence."
CALL_IT = 'Describe this image in one sentence. Call its main subject "[V]".'
INSTRUCTIONS = (DESCRIBE, CALL_IT)

CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def tokenizer() -> Qwen2Tokenizer:
    """Train the merges on captions of the world; the same bytes at every call."""
    backend = Tokenizer(models.BPE(byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    backend.train_from_iterator(_texts(), trainer)
    model = json.loads(backend.to_str())["model"]
    made = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        additional_special_tokens=list(SPECIALS[1:]),
        model_max_length=512,
    )
    made.add_tokens([AddedToken(PLACEHOLDER, normalized=False, special=False)])
    made.chat_template = CHAT_TEMPLATE
    return made


def _texts() -> list[str]:
    rng, concepts = Random(0), all_concepts(unseen=False) + all_concepts(unseen=True)
    texts = ["user\n", "assistant\n", *INSTRUCTIONS] * 50
    for concept in rng.choices(concepts, k=3000):
        scene = scene_of(concept, rng, loose=True)
        texts += [full_caption(scene), caption(scene, rng), caption(scene, rng, concept_name(concept, rng))]
    return texts


def clip_tokenizer() -> CLIPTokenizer:
    """Train CLIP's kind of BPE (lower case, end-of-word suffix) on the same captions."""
    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=alphabet,
        special_tokens=["<|startoftext|>", "<|endoftext|>", *(f"{byte}</w>" for byte in alphabet)],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator(_texts(), trainer)
    model = json.loads(backend.to_str())["model"]
    return CLIPTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], model_max_length=48)
