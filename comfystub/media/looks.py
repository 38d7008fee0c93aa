"""How generated pictures look: as their digest has it, or as a style does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from comfystub.media.edits import Edited
from comfystub.media.pictures import Mosaic, Palette, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

#: The height of a line of a caption in pixels, and how many of the picture's height may be one of them.
LINE_HEIGHT, LINES = 14, 18


class Look(NamedTuple):
    """How what a node generates looks.

    ``given`` is a picture that is taken as it is, its size too; ``palette`` the colours of generated
    ones; ``caption`` is written on a strip at the bottom.
    """

    given: Picture | None = None
    palette: Palette = ()
    caption: str = ""

    def picture(self, digest: bytes, width: int, height: int) -> Picture:
        """What is generated from a digest."""
        picture = self.given or Mosaic(digest, width, height, self.palette)
        if not self.caption:
            return picture
        return Captioned(picture, f"{picture.width}x{picture.height}  {self.caption}")


#: How pictures look that nobody has said anything of.
PLAIN = Look()


class Captioned(Edited):
    """A picture with a strip of text over its lowest part."""

    __slots__ = ("caption", "picture")

    def __init__(self, picture: Picture, caption: str) -> None:
        super().__init__(picture.size, lambda: _captioned(picture.pixels().convert("RGB"), caption))
        self.picture = picture
        self.caption = caption

    def resized(self, size: tuple[int, int]) -> Picture:
        return Captioned(self.picture.resized(size), self.caption)


def _captioned(image: Image, caption: str) -> Image:
    """The image with the caption, in white on black, as much of it as fits one line."""
    from PIL import Image, ImageDraw

    # The font that Pillow brings has one size.
    scale = max(1, image.height // (LINE_HEIGHT * LINES))
    strip = Image.new("L", (-(-image.width // scale), LINE_HEIGHT))
    ImageDraw.Draw(strip).text((4, 1), caption, fill=255)
    strip = strip.resize((strip.width * scale, strip.height * scale))
    image.paste(strip.convert("RGB"), (0, image.height - strip.height))
    return image
