"""Models laid out exactly as the hub has them: sharded weights with an index, and the files that lie beside them there.

>>> lay_out_base(family("z-image"), models.base, tmp_path / "base", shard="40KB")
"""

import json
import shutil
from pathlib import Path

from transformers import Qwen3ForCausalLM, Qwen3VLForConditionalGeneration

from dopsd.family import Family


def lay_out_base(line: Family, plain: Path, base: Path, *, shard: str) -> None:
    """Lay a base out anew, in shards; its text encoder is the whole language model, whose names begin with "model."."""
    shutil.copytree(plain, base)
    network = line.load_denoiser(plain).network
    shutil.rmtree(base / "transformer")
    network.save_pretrained(base / "transformer", max_shard_size=shard)
    model = Qwen3ForCausalLM.from_pretrained(plain / "text_encoder")
    shutil.rmtree(base / "text_encoder")
    model.save_pretrained(base / "text_encoder", max_shard_size=shard)
    assert json.loads((base / "text_encoder/config.json").read_text())["architectures"] == ["Qwen3ForCausalLM"]


def lay_out_vision_language(plain: Path, seeing: Path, *, shard: str) -> None:
    """Keep the template in JSON, name the fast image processor, and put a video processor's settings beside it."""
    shutil.copytree(plain, seeing)
    for path in seeing.glob("*.safetensors"):
        path.unlink()
    model = Qwen3VLForConditionalGeneration.from_pretrained(plain)
    model.save_pretrained(seeing, max_shard_size=shard)
    template = (seeing / "chat_template.jinja").read_text()
    (seeing / "chat_template.jinja").unlink()
    (seeing / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    settings = json.loads((seeing / "preprocessor_config.json").read_text())
    names = {"processor_class": "Qwen3VLProcessor", "image_processor_type": "Qwen2VLImageProcessorFast"}
    (seeing / "preprocessor_config.json").write_text(json.dumps(settings | names))
    video = {"processor_class": "Qwen3VLProcessor", "video_processor_type": "Qwen3VLVideoProcessor"}
    (seeing / "video_preprocessor_config.json").write_text(json.dumps(settings | video))


def shards(folder: Path) -> list[Path]:
    """List the weights of a folder that are a part of many."""
    return sorted(folder.glob("*-of-*.safetensors"))
