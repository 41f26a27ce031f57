"""Take images, with captions beside some, into the dataset; set aside what can't be used, with the reason.

    python -m tasks run ingest

Nothing is replaced or lost in silence: each file of the source ends as an image, as a caption, as a row of
quarantine.jsonl, or in the count of hidden files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.folders import sha256_of_bytes, write_bytes, write_manifest
from tasks.images import metadata, rows, sidecar
from tasks.images.blocked import Blocked, BlockList, blocked
from tasks.images.duplicates import near, perceptual_hash
from tasks.images.picture import Limits, Unusable, decoded
from tasks.images.rows import ImageRow, QuarantineRow
from tasks.images.source import ARCHIVES, SourceFile, files, is_archive, stem
from tasks.params import Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.sections import Ingest


@dataclass
class Intake:
    """What the walk over the source has found so far; captions by the name they share with their image."""

    source: Path
    folder: Path
    blocked: BlockList
    images: list[ImageRow] = field(default_factory=list)
    captions: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    refused: list[QuarantineRow] = field(default_factory=list)
    num_skipped: int = 0


def run(params: Params, room: Room) -> None:
    """Fill `data/images`; raises ValueError naming the source where it holds no usable image."""
    settings, source = params.ingest, room.reads["source"]
    _refuse(source)
    intake = Intake(source, room.writes["images"], blocked(room.reads["blocked"]))
    max_bytes = int(settings.max_megabytes * 1e6)
    total = sum(1 for _ in files(source, max_bytes))
    for file in track(files(source, max_bytes), total, "ingest"):
        _take(file, settings, intake)
    images = _told_apart(_captioned(intake), settings, intake)
    if not images:
        raise ValueError(_nothing(source, intake))
    for path in {row.file for row in intake.images} - {row.file for row in images}:
        (intake.folder / path).unlink()
    rows.write(intake.folder / "images.jsonl", images)
    rows.write(intake.folder / "quarantine.jsonl", intake.refused, key="source")
    counts = {"images": len(images), "quarantined": len(intake.refused), "skipped_hidden": intake.num_skipped}
    counts["captions"] = sum(image.caption is not None for image in images)
    said = settings.model_dump(mode="json", exclude={"txt_lines"} if settings.txt_lines == "joined" else None)
    write_manifest(intake.folder, "ingest", said, counts)  # what was the only way once stays unsaid


def _refuse(source: Path) -> None:
    """Refuse what is no folder and no archive."""
    if not source.exists():
        raise FileNotFoundError(f"ingest.source: there is no folder {source}; put the path of your images there")
    if not source.is_dir() and not is_archive(source.name):
        kinds = ", ".join(ARCHIVES)
        raise ValueError(f"ingest.source: {source} is neither a folder nor one of {kinds}: name the folder it lies in")


def _take(file: SourceFile, settings: Ingest, intake: Intake) -> None:
    """Put one file where it belongs."""
    if file.is_skipped:
        intake.num_skipped += 1
        return
    data = None
    try:
        data = file.read()
        if sidecar.is_sidecar(file.name):
            _note_captions(file.name, file.name, sidecar.captions(file.name, data, settings), intake)
        elif metadata.is_table(file.name):
            _note_table(metadata.lines(file.name, data, intake.source), settings, intake)
        else:
            intake.images.append(_stored(file.name, data, settings, intake))
    except Unusable as refusal:
        kept = None if isinstance(refusal, Blocked) else data
        intake.refused.append(_set_aside(file.name, kept, refusal, intake.folder))


def _note_captions(image: str, name: str, texts: tuple[str, ...], intake: Intake) -> None:
    """Keep captions until their image is known; raises Unusable where two places say different ones."""
    earlier, said = intake.captions.get(stem(image), (name, ()))
    if not said:
        intake.captions[stem(image)] = (name, texts)
    elif texts not in ((), said):
        raise Unusable(f"{earlier} is a caption for the same image", "keep one of the two")


def _note_table(table: Sequence[metadata.Line], settings: Ingest, intake: Intake) -> None:
    """Keep the captions of a table; a line that can't be used is set aside by itself."""
    for line in table:
        try:
            image, texts = line.captions(settings.max_caption_characters)
            _note_captions(image, line.name, texts, intake)
        except Unusable as refusal:
            intake.refused.append(QuarantineRow(line.name, refusal.reason, refusal.mend, None))


def _stored(name: str, data: bytes, settings: Ingest, intake: Intake) -> ImageRow:
    """Normalise one image and write it under the name of its pixels; raises Blocked for one that was taken down."""
    intake.blocked.check(data)
    limits = Limits(settings.max_megapixels, settings.min_side_px)
    picture = decoded(data, limits)
    intake.blocked.check_looks(picture)
    identity, size = picture.id, picture.image.size
    path = f"files/{identity}.png"
    write_bytes(intake.folder / path, picture.png())
    digest, looks = sha256_of_bytes(data), perceptual_hash(picture.image)
    return ImageRow(identity, path, name, digest, *size, picture.format, looks, picture.notes, None)


def _set_aside(name: str, data: bytes | None, refusal: Unusable, folder: Path) -> QuarantineRow:
    """Keep the bytes of a refused file, where there are any to keep, under their digest: its name may be anything."""
    path = None
    if data is not None:
        path = f"quarantine/{sha256_of_bytes(data)[:32]}"
        write_bytes(folder / path, data)
    return QuarantineRow(name, refusal.reason, refusal.mend, path)


def _captioned(intake: Intake) -> list[ImageRow]:
    """Join images and captions; a caption that finds no image is set aside, one that says nothing is noted."""
    refused = {stem(row.source): row for row in intake.refused}
    texts = {key: row for key, row in refused.items() if sidecar.is_sidecar(row.source)}
    waiting, joined = dict(intake.captions), []
    for image in intake.images:
        key = stem(image.source)
        name, said = intake.captions.get(key, ("", ()))
        waiting.pop(key, None)
        notes = image.notes
        if name and not said:
            notes += (f"{name} is empty: counted as no caption",)
        if not name and key in texts:
            notes += (f"{texts[key].source} is in quarantine: {texts[key].reason}",)
        joined.append(replace(image, notes=notes).worded(said))
    for key, (name, said) in waiting.items():
        reason = f"its image {refused[key].source} is in quarantine" if key in refused else "no image of this name"
        refusal = Unusable(reason, "put its image beside it, or delete it")
        intake.refused.append(_set_aside(name, "\n".join(said).encode(), refusal, intake.folder))
    return joined


def _told_apart(images: Sequence[ImageRow], settings: Ingest, intake: Intake) -> list[ImageRow]:
    """Keep the first of pictures with equal pixels, then note or drop those that nearly equal an earlier one."""
    first: dict[str, ImageRow] = {}
    for image in images:
        kept = first.setdefault(image.id, image)
        if kept is image:
            continue
        first[image.id] = kept.worded(kept.captions or image.captions)
        unused = ", ".join(text for text in image.captions if text not in first[image.id].captions)
        reason = f"same pixels as {kept.source}" + (f"; its caption is not used: {unused}" if unused else "")
        intake.refused.append(QuarantineRow(image.source, reason, "delete one of the two", None))
    unlike = list(first.values())
    for pair in reversed(near([image.phash for image in unlike], settings.near_duplicate_bits)):
        later, mend = unlike[pair.later], "delete one, or set ingest.near_duplicates to keep"
        twin = f"nearly {unlike[pair.earlier].source}: {pair.bits} of 64 bits of their looks differ"
        if settings.near_duplicates == "drop":
            intake.refused.append(QuarantineRow(later.source, twin, mend, None))
            del unlike[pair.later]
        else:
            unlike[pair.later] = replace(later, notes=(*later.notes, twin))
    return unlike


def _nothing(source: Path, intake: Intake) -> str:
    """Say why nothing is left, with the first few reasons."""
    reasons = "".join(f"\n  {row.source}: {row.reason}; {row.mend}" for row in intake.refused[:5])
    found = f"{len(intake.refused)} files, none usable:{reasons}" if intake.refused else "it is empty"
    return f"ingest.source: no image to learn from in {source}: {found}"
