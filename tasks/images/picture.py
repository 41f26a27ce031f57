"""Bytes of an image file to one upright 8-bit sRGB picture, or the reason why not.

    picture = decoded(Path("photo.jpg").read_bytes(), Limits())
    picture.image.size, picture.notes

What a photo may be and still is one: rotated by EXIF, 16-bit, palette, grey, CMYK, with a colour profile, transparent
(laid over white). Each of these is noted. What can't be trusted to be the picture that was meant is refused: broken or
truncated bytes, several frames, pixels without an agreed range, too few or too many pixels.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import cast

from PIL import Image, ImageCms, ImageMath, ImageOps, UnidentifiedImageError

from tasks.folders import sha256_of_bytes

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")  # not EPS: Pillow would start Ghostscript

# What Pillow's decoders raise on bytes that are not what they claim; all is in memory, so it is never the disk.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, RuntimeError, struct.error, zlib.error)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_PROFILED = ("RGB", "L", "CMYK", "LAB")  # the modes that colour profiles speak of
_ORIENTATION = 0x0112


class Unusable(ValueError):
    """Say why a file can't be used, and in `mend` what its owner can do."""

    def __init__(self, reason: str, mend: str) -> None:
        """Keep both sentences; neither names the file, whoever reads it knows it."""
        super().__init__(reason)
        self.reason, self.mend = reason, mend


@dataclass(frozen=True)
class Limits:
    """How large and how small a picture may be; Pillow itself stops at 89 megapixels."""

    max_megapixels: float = 64
    min_side_px: int = 32


@dataclass(frozen=True)
class Picture:
    """An upright RGB image, the file format it came in, and what was done to it, as sentences."""

    image: Image.Image
    format: str
    notes: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name the picture by its pixels alone: equal pixels, equal id, whatever the file was. 32 hex digits."""
        header = f"{self.image.mode} {self.image.width}x{self.image.height}\n".encode()
        return sha256_of_bytes(header + self.image.tobytes())[:32]

    def png(self) -> bytes:
        """Encode without loss and without metadata: equal pictures, equal bytes."""
        buffer = io.BytesIO()
        Image.frombytes("RGB", self.image.size, self.image.tobytes()).save(buffer, "PNG")
        return buffer.getvalue()


def decoded(data: bytes, limits: Limits) -> Picture:
    """Decode and normalise one image file; raises Unusable with the reason and the mend."""
    if not data:
        raise Unusable("the file is empty", "copy it again from where it came from")
    try:
        return _decoded(data, limits)
    except Unusable:
        raise
    except _TOO_LARGE as error:
        raise Unusable("it has more than 89 megapixels", "scale it down; no model trains on that many") from error
    except UnidentifiedImageError as error:
        reason = f"not an image of a format read here ({', '.join(FORMATS)}), or its beginning is lost"
        raise Unusable(reason, "export it as PNG or JPEG") from error
    except _BROKEN as error:
        reason = f"it is broken: {str(error) or type(error).__name__}"
        raise Unusable(reason, "copy it again, or export it anew") from error


def _decoded(data: bytes, limits: Limits) -> Picture:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check(image, limits)
        deep = _is_deep(image)
        image.load()
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        rgb, further = _rgb(ImageOps.exif_transpose(image), image.info.get("icc_profile"))
    notes = [f"Pillow: {warning.message}" for warning in told]
    notes += ["the first picture of several in one JPEG"] if image.format == "MPO" else []
    notes += ["turned upright as its EXIF says"] if turned else []
    notes += ["16 bits a channel brought to 8"] if deep else []
    return Picture(rgb, "JPEG" if image.format == "MPO" else str(image.format), (*notes, *further))


def _check(image: Image.Image, limits: Limits) -> None:
    """Refuse what the header alone tells, before a pixel is decoded."""
    width, height = image.size
    if width * height > limits.max_megapixels * 1e6:
        pixels = f"{width} x {height} pixels are more than ingest.max_megapixels ({limits.max_megapixels:g})"
        raise Unusable(pixels, "scale it down, or raise the limit in params.yaml")
    if min(width, height) < limits.min_side_px:
        pixels = f"{width} x {height} pixels: a side is shorter than ingest.min_side_px ({limits.min_side_px})"
        raise Unusable(pixels, "find a larger original, or lower the limit in params.yaml")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # an MPO is a phone's photo with a preview or a second eye behind it
        raise Unusable(f"it holds {frames} frames or pages", "export the one you mean as PNG or JPEG")


def _is_deep(image: Image.Image) -> bool:
    """Tell 16-bit files, also those that Pillow decodes to 8 bits without a word; asks before the pixels are loaded."""
    return "16" in image.mode or any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Bring any mode to 8-bit sRGB over white and say what that took."""
    notes = [] if image.mode in ("RGB", "RGBA") else [f"mode {image.mode} brought to RGB"]
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    opaque = image if image.mode in _PROFILED else image.convert("RGBA" if alpha else "RGB").convert("RGB")
    colours, told = _in_srgb(opaque, profile)
    if alpha is None or alpha.getextrema() == (255, 255):
        return colours, notes + told
    white = Image.new("RGB", image.size, "white")
    return Image.composite(colours, white, alpha), [*notes, *told, "transparency laid over white"]


def _eight_bit(image: Image.Image) -> Image.Image:
    """Round 16-bit grey to 8 bits (Pillow's own `convert` clips it); refuse wider pixels, whose range nobody knows."""
    values = image.convert("I") if image.mode.startswith("I") else None
    low, high = cast(tuple[int, int], values.getextrema()) if values else (-1, -1)
    if values is None or low < 0 or high > 65535:
        raise Unusable("its pixels are 32-bit numbers without an agreed range", "export it with 8 or 16 bits a channel")
    grey = ImageMath.lambda_eval(lambda of: (of["values"] * 255 + 32767) / 65535, values=values).convert("L")
    if isinstance(clear := image.info.get("transparency"), int):  # PNG's one grey that is transparent
        grey.putalpha(ImageMath.lambda_eval(lambda of: (of["values"] != clear) * 255, values=values).convert("L"))
    return grey


def _in_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Apply an embedded colour profile, unless it is sRGB already; one that can't be applied is told."""
    if not profile:
        return image.convert("RGB"), []
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower():
            return image.convert("RGB"), []
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        return image.convert("RGB"), [f"its colour profile cannot be applied ({error}); colours taken as sRGB"]
    assert converted is not None  # only an in-place conversion returns nothing
    return converted, [f"colours brought from {name} to sRGB"]
