"""What ingest will make of a source folder that changed since it read it, without doing its work.

>>> taken_in(Source(folder, old, new), recorded, settings)  # the images there will be, and how sure that is

Files that are as they were give what they gave; a caption that changed is read; a few new pictures are looked at, and
of many it is taken that none was ever seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tasks.images import sidecar
from tasks.images.metadata import is_table, lines
from tasks.images.picture import Limits, Unusable, decoded
from tasks.images.rows import ImageRow
from tasks.images.source import SourceFile, is_archive, stem
from tasks.planning.count import Certainty
from tasks.planning.foreseen import Foreseen
from tasks.sections import Ingest

Files = Mapping[str, str]
"""Digests by name, as DVC lists a folder."""
Texts = tuple[str, ...]
_FEW, _FEW_BYTES = 16, 8_000_000
"""New pictures are looked at up to so many, and so many bytes of them: a plan takes no two seconds."""


@dataclass(frozen=True)
class Source:
    """The folder, the files that it held when ingest read it (None where nobody kept that), and those it holds."""

    folder: Path
    old: Files | None
    new: Files


def taken_in(source: Source, recorded: Sequence[ImageRow], settings: Ingest) -> Foreseen:
    """Foresee the images; "about" where one that was set aside, or is packed, may take another's place."""
    by_name, new = {image.source: image for image in recorded}, _used(source.new)
    old = {name: new[name] for name in by_name.keys() & new.keys()} if source.old is None else _used(source.old)
    old = old if recorded else {}
    was = {digest: by_name[name] for name, digest in old.items() if name in by_name}
    captions = _captions(source.folder, old, new, settings)
    kept = [replace(was[one], source=name).worded(captions(name, was[one])) for name, one in new.items() if one in was]
    kept += [image for image in recorded if _pack(image.source) in new]
    known = set(old.values())
    names = [name for name, digest in new.items() if digest not in known and _is_picture(name)]
    seen = _looked_at(names, source.folder, settings)
    fresh = [_fresh(seen[name], name, captions(name, None)) for name in names if seen[name].id]
    is_known = source.old is not None or not recorded
    certainty = _certainty(Source(source.folder, old, new), by_name, fresh, settings) if is_known else "about"
    return Foreseen(_told_apart([*kept, *fresh]), None, certainty)


def _told_apart(images: Sequence[ImageRow]) -> tuple[ImageRow, ...]:
    """Keep the first of equal pictures, with the caption of the next where it has none, as ingest does."""
    first: dict[str, ImageRow] = {}
    for image in sorted(images, key=lambda image: image.source):
        earlier = first.setdefault(image.id, image)
        first[image.id] = earlier.worded(earlier.captions or image.captions)
    return tuple(first.values())


def _certainty(
    source: Source, by_name: Mapping[str, ImageRow], fresh: Sequence[ImageRow], settings: Ingest
) -> Certainty:
    """Say how sure it is that these will be the images."""
    old, new = source.old or {}, source.new
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    are_aside = any(_is_picture(name) and name not in by_name for name in old)
    if any(is_archive(name) for name in changed) or (are_aside and changed & old.keys()):
        return "about"
    is_drop = settings.near_duplicates == "drop" and bool(changed)
    return "at most" if is_drop or any(image.id.startswith("?") for image in fresh) else "exactly"


def _captions(folder: Path, old: Files, new: Files, settings: Ingest) -> Callable[[str, ImageRow | None], Texts]:
    """Give a function that says the captions of a picture: as they were, or as they stand beside it or in a table."""
    before, beside = _sidecars(old), _sidecars(new)
    tables = {name: digest for name, digest in new.items() if is_table(name)}
    is_told_anew = tables != {name: digest for name, digest in old.items() if is_table(name)}
    told = {key: texts for name in sorted(tables, reverse=True) for key, texts in _table(folder, name, settings)}

    def captions(name: str, was: ImageRow | None) -> Texts:
        sidecars, earlier = beside.get(stem(name), {}), before.get(stem(name), {})
        if was and was.source == name and sidecars == earlier and not is_told_anew:
            return was.captions
        found = (_texts(folder / name, settings) for name in sorted(sidecars))
        return next(filter(None, found), told.get(stem(name), ()))

    return captions


def _sidecars(files: Files) -> dict[str, dict[str, str]]:
    """Gather the captions that lie beside each picture, with their digests."""
    found: dict[str, dict[str, str]] = {}
    for name, digest in files.items():
        if sidecar.is_sidecar(name):
            found.setdefault(stem(name), {})[name] = digest
    return found


def _texts(path: Path, settings: Ingest) -> Texts:
    """Read captions; none where they will be set aside."""
    try:
        return sidecar.captions(path.name, path.read_bytes(), settings)
    except Unusable:
        return ()


def _table(folder: Path, name: str, settings: Ingest) -> Iterator[tuple[str, Texts]]:
    """Read what pictures a table names, and their captions, leaving out what will be set aside."""
    with suppress(Unusable):
        for line in lines(name, (folder / name).read_bytes(), folder):
            with suppress(Unusable):
                picture, texts = line.captions(settings.max_caption_characters)
                yield stem(picture), texts


@dataclass(frozen=True)
class _Seen:
    """The id that a new picture will have, "" where it will be set aside; a size that nobody looked at is a square."""

    id: str
    width: int = 1
    height: int = 1


def _looked_at(names: Sequence[str], folder: Path, settings: Ingest) -> dict[str, _Seen]:
    """Say what these pictures will be; where they are many, "? name" is the id of each."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    if len(names) > _FEW or sum(sizes.values()) > _FEW_BYTES:
        return {name: _Seen(f"? {name}") for name in names}
    limits, most = Limits(settings.max_megapixels, settings.min_side_px), settings.max_megabytes * 1e6
    return {name: _seen(folder / name, limits) if sizes[name] <= most else _Seen("") for name in names}


def _seen(path: Path, limits: Limits) -> _Seen:
    try:
        picture = decoded(path.read_bytes(), limits)
    except Unusable:
        return _Seen("")
    return _Seen(picture.id, *picture.image.size)


def _fresh(seen: _Seen, source: str, captions: Texts) -> ImageRow:
    return ImageRow(seen.id, "", source, "", seen.width, seen.height, "", "", (), None).worded(captions)


def _used(files: Files) -> dict[str, str]:
    """Leave out what ingest passes over in silence."""
    return {name: digest for name, digest in files.items() if not SourceFile(name, bytes).is_skipped}


def _is_picture(name: str) -> bool:
    return not (sidecar.is_sidecar(name) or is_archive(name) or is_table(name))


def _pack(source: str) -> str:
    """Name the archive that holds a picture, "" where none does."""
    return next((str(path) for path in PurePosixPath(source).parents if is_archive(path.name)), "")
