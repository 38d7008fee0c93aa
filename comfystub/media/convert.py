"""What the server makes of picture files: previews and channels for `/view`, masks for `/upload/mask`.

Files come and go as bytes.  One that Pillow cannot read raises Pillow's own error: a 500, from a server.
"""

from __future__ import annotations

from io import BytesIO

from comfystub.media.pictures import encode


def preview(data: bytes, spec: str, channel: str | None = None) -> tuple[bytes, str]:
    """Return what `/view` answers to its `preview` parameter, and the content type, as ComfyUI 0.33 does.

    The first frame is shown, as a WebP, or as a JPEG when that is asked for and `channel` has no `a` in it.
    A JPEG has no transparency, and neither has a WebP when `channel` is `rgb`.

    Args:
        data: a picture file.
        spec: `webp` or `jpeg`, and after a `;` perhaps a quality of 0 to 100.  Any other format means WebP,
            a quality that is no number, or none, means 90.
        channel: the `channel` parameter of the request.

    Raises:
        OSError: Pillow cannot read the file.
        ValueError: the quality is above what a WebP can have.
    """
    from PIL import Image

    format, quality = _preview_options(spec, channel or "")
    with Image.open(BytesIO(data)) as opened:
        image = opened.convert("RGB") if format == "jpeg" or channel == "rgb" else opened
        # method 0 is WebP's quickest, half the work of the usual one; JPEG takes no notice
        return encode(image, format, quality=quality, method=0), f"image/{format}"


def channel(data: bytes, which: str) -> tuple[bytes, str]:
    """Return what `/view` answers to its `channel` parameter, and the content type, as ComfyUI 0.33 does.

    Args:
        data: a picture file.
        which: `rgb`, a PNG without transparency, or `a`, a black PNG with the transparency of the file.
            Only files in mode RGBA count as having any.

    Raises:
        OSError: Pillow cannot read the file.
        ValueError: `which` is another channel; for those, a server sends the file as it is.
    """
    from PIL import Image

    if which not in ("rgb", "a"):
        raise ValueError(f"no channel of its own: {which!r}")
    with Image.open(BytesIO(data)) as opened:
        if which == "rgb":
            image = opened.convert("RGB")
        else:
            image = Image.new("RGBA", opened.size)
            image.putalpha(opened.getchannel("A") if opened.mode == "RGBA" else 255)
    return encode(image, "PNG", compress_level=1), "image/png"


def put_mask(original: bytes, mask: bytes) -> bytes:
    """Return the PNG that `/upload/mask` stores: a picture with the transparency of another.

    As in ComfyUI 0.33, the texts of a PNG are kept, and a mask without transparency makes the picture opaque.

    Args:
        original: the picture file whose colours and texts are kept.
        mask: the uploaded picture file, of the same size.

    Raises:
        OSError: Pillow cannot read one of the files.
        ValueError: the sizes differ.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    with Image.open(BytesIO(original)) as picture, Image.open(BytesIO(mask)) as upload:
        for keyword, text in getattr(picture, "text", {}).items():
            texts.add_text(keyword, text)
        masked = picture.convert("RGBA")
        masked.putalpha(upload.convert("RGBA").getchannel("A"))
    return encode(masked, "PNG", compress_level=1, pnginfo=texts)


def _preview_options(spec: str, channel: str) -> tuple[str, int]:
    """Return format and quality of a preview."""
    parts = spec.split(";")
    format = "jpeg" if parts[0] == "jpeg" and "a" not in channel else "webp"
    return format, int(parts[-1]) if parts[-1].isdigit() else 90
