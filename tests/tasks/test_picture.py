"""Whatever a photo went through it comes out upright, RGB, 8-bit; whatever is no photo is refused with a reason."""

import io
import random
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.images.picture import Limits, Picture, Unusable, decoded


def a_scene(width: int = 60, height: int = 40) -> Image.Image:
    """Draw something that has a top, a left and colours."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1).astype(np.uint8)
    return Image.fromarray(values)


def as_file(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode `image`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, **limits: float) -> Picture:
    """Decode with limits that allow small pictures."""
    return decoded(data, Limits(**limits))  # type: ignore[arg-type]


def difference(one: Image.Image, two: Image.Image) -> int:
    """Give the largest difference of two pictures in any channel, in 8-bit levels."""
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(two).astype(int)).max())


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "WEBP"])
def test_the_same_pixels_in_any_lossless_file_have_the_same_id_and_bytes(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read(as_file(a_scene(), kind, **options))
    assert picture.id == Picture(a_scene(), "PNG", ()).id
    assert picture.png() == Picture(a_scene(), "PNG", ()).png()
    assert (picture.format, picture.notes) == (kind, ())


def test_the_stored_png_gives_the_same_picture_back() -> None:
    picture = read(as_file(a_scene(), "JPEG"))
    assert read(picture.png()).id == picture.id


def test_one_changed_pixel_or_another_shape_is_another_id() -> None:
    scene, changed = a_scene(), a_scene()
    changed.putpixel((5, 5), (1, 2, 3))
    reshaped = Image.frombytes("RGB", (40, 60), scene.tobytes())
    assert len({Picture(image, "PNG", ()).id for image in (scene, changed, reshaped)}) == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_rotated_by_exif_is_turned_upright(orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    lying = a_scene().transpose(turns[orientation]) if orientation in turns else a_scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read(as_file(lying, "PNG", exif=exif))
    assert difference(picture.image, a_scene()) == 0
    assert bool(picture.notes) == (orientation != 1)


def test_sixteen_bit_grey_is_rounded_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    picture = read(as_file(Image.fromarray(ramp), "PNG"))
    expected = np.rint(ramp / 65535 * 255).astype(np.uint8)
    assert difference(picture.image, Image.fromarray(expected).convert("RGB")) == 0
    assert any("16 bits" in note for note in picture.notes)


def test_the_transparent_grey_of_a_sixteen_bit_file_becomes_white() -> None:
    grey = np.full((40, 40), 1000, np.uint16)
    grey[:20] = 30_000
    picture = read(as_file(Image.fromarray(grey), "PNG", transparency=30_000))
    assert [picture.image.getpixel((0, y)) for y in (0, 39)] == [(255, 255, 255), (4, 4, 4)]
    assert "transparency laid over white" in picture.notes


def test_sixteen_bit_colour_is_told() -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 65535, 32768, 0) * 40 for _ in range(40))
    chunks = [(b"IHDR", struct.pack(">2I5B", 40, 40, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    picture = read(b"\x89PNG\r\n\x1a\n" + body)
    assert picture.image.getpixel((0, 0)) == (255, 128, 0)
    assert any("16 bits" in note for note in picture.notes)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "YCbCr"])
def test_every_mode_becomes_rgb_and_is_told(mode: str) -> None:
    kind = "PNG" if mode in ("1", "L", "P", "LA") else "TIFF"
    picture = read(as_file(a_scene().convert(mode), kind))
    assert picture.image.mode == "RGB"
    assert any("RGB" in note for note in picture.notes)
    expected = a_scene().convert(mode).convert("RGB")
    assert difference(picture.image, expected) <= 8


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = a_scene().convert("L").convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste((10, 10, 10, 255), (0, 0, 20, 20))
    picture = read(as_file(image.convert(mode), "PNG"))
    assert picture.image.getpixel((50, 30)) == (255, 255, 255)
    assert picture.image.getpixel((5, 5)) == (10, 10, 10)
    assert "transparency laid over white" in picture.notes


def test_an_opaque_alpha_channel_changes_nothing() -> None:
    picture = read(as_file(a_scene().convert("RGBA"), "PNG"))
    assert (picture.id, picture.notes) == (Picture(a_scene(), "PNG", ()).id, ())


def test_a_colour_profile_is_applied_and_srgb_is_left_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(as_file(a_scene(), "PNG", icc_profile=srgb)).notes == ()
    other_space = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile in (other_space, b"nonsense"):
        notes = read(as_file(a_scene(), "PNG", icc_profile=profile)).notes
        assert any("cannot be applied" in note and "taken as sRGB" in note for note in notes)


def test_a_grey_profile_is_brought_to_srgb() -> None:
    linear = grey_profile(gamma=1.0)
    picture = read(as_file(Image.new("L", (40, 40), 128), "PNG", icc_profile=linear))
    assert picture.image.getpixel((0, 0))[0] == pytest.approx(188, abs=2)  # type: ignore[index]
    assert any("to sRGB" in note for note in picture.notes)


def grey_profile(gamma: float) -> bytes:
    """Write the smallest grey ICC profile: a white point, a tone curve, a name."""
    xyz = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Grey\0" + bytes(67 + 11)
    tags, table, offset = [(b"wtpt", xyz), (b"kTRC", curve), (b"desc", name)], b"", 128 + 4 + 36
    for tag, data in tags:
        table += tag + struct.pack(">2I", offset, len(data))
        offset += len(data)
    head = struct.pack(">I4sI4s4s4s", offset, bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head = (head.ljust(36, b"\0") + b"acsp").ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + table + b"".join(data for _, data in tags)


def refusals() -> dict[str, tuple[bytes, str]]:
    """List one file of each bad kind, and what its reason has to say."""
    png, jpeg = as_file(a_scene(), "PNG"), as_file(a_scene(300, 200), "JPEG")
    second = a_scene().transpose(Image.Transpose.ROTATE_180)
    moving = {"save_all": True, "append_images": [second]}
    bomb = png[:16] + struct.pack(">2I", 60_000, 60_000) + png[24:29]
    bomb += struct.pack(">I", zlib.crc32(bomb[12:29])) + png[33:]
    return {
        "empty": (b"", "empty"),
        "text": (b"hello", "not an image"),
        "pdf": (b"%PDF-1.7 ...", "not an image"),
        "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not an image"),
        "truncated png": (png[: len(png) // 2], "broken"),
        "truncated jpeg": (jpeg[: len(jpeg) // 2], "broken"),
        "header only": (png[:40], "its beginning is lost"),
        "animated gif": (as_file(a_scene(), "GIF", **moving), "2 frames"),
        "animated webp": (as_file(a_scene(), "WEBP", **moving), "2 frames"),
        "animated png": (as_file(a_scene(), "PNG", **moving), "2 frames"),
        "pages": (as_file(a_scene(), "TIFF", **moving), "2 frames or pages"),
        "bomb": (bomb, "more than 89 megapixels"),
        "thin": (as_file(a_scene(300, 8), "PNG"), "300 x 8 pixels: a side is shorter than ingest.min_side_px (32)"),
        "floats": (as_file(Image.new("F", (40, 40), 0.5), "TIFF"), "without an agreed range"),
        "wide numbers": (as_file(Image.new("I", (40, 40), 1 << 20), "TIFF"), "without an agreed range"),
    }


@pytest.mark.parametrize("kind", refusals())
def test_what_is_no_single_whole_picture_is_refused_with_reason_and_mend(kind: str) -> None:
    data, expected = refusals()[kind]
    with pytest.raises(Unusable) as refused:
        read(data)
    assert expected in refused.value.reason
    assert refused.value.mend


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Unusable, match=r"ingest\.max_megapixels \(0\.001\)"):
        read(as_file(a_scene(), "PNG")[:60], max_megapixels=0.001)


def test_a_phone_photo_with_a_second_picture_behind_it_is_its_first() -> None:
    data = as_file(a_scene(), "MPO", save_all=True, append_images=[a_scene()])
    picture = read(data)
    assert picture.format == "JPEG"
    assert difference(picture.image, a_scene()) < 60
    assert any("first picture" in note for note in picture.notes)


def test_no_damage_to_a_file_escapes_as_anything_but_a_refusal() -> None:
    rng = random.Random(0)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"):
        whole = as_file(a_scene(), kind)
        for _ in range(60):
            data = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
            for _ in range(rng.choice((1, 5, 20))):
                data[rng.randrange(len(data))] = rng.randrange(256) if data else 0
            with suppress(Unusable):
                assert read(bytes(data)).image.mode == "RGB"
