"""Things found in pictures: boxes around them, masks of them, and where they go in a film."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import cycle
from typing import TYPE_CHECKING, Any

from comfystub.media.edits import Edited, Size, levels, rgb, scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.boxes import COLORS, Area, Found, areas_of, framed, pictures_of, scored
from comfystub.nodes.families.editing import each, edit
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks, Opaque, first, nth
from comfystub.nodes.writing import temp_prefix, texts, write

if TYPE_CHECKING:
    from PIL.Image import Image

#: What is found where any class of things counts.
CLASSES = ("person", "cat", "dog", "car", "chair", "potted plant")
#: The most things that a film is searched for.
MOST_TRACKED = 64
#: The side of the canvas that boxes are drawn on without a picture, at least.
CANVAS = 640


def detect(run: Invocation) -> Result:
    """RTDETR_detect: a list of boxes for each picture, of a class and a score."""
    threshold, most = run.value("threshold", 0.5), max(0, run.value("max_detections", 100))
    wanted = run.value("class_name", "all")

    def label(number: int) -> str:
        return wanted if wanted != "all" else CLASSES[number % len(CLASSES)]

    frames = []
    for number, picture in enumerate(run.images()):
        digest = nth(run.signature, number)
        things = scored(digest, picture.size, threshold)[:most]
        frames.append([{**thing, "label": label(digest[1] + place)} for place, thing in enumerate(things)])
    return Result((frames,))


def remove_background(run: Invocation) -> Result:
    """RemoveBackground: a mask that is white where the subject of the picture is, in its middle."""

    def subject(picture: Picture) -> Picture:
        width, height = picture.size
        return mask_of([Area(width // 6, height // 6, width * 2 // 3, height * 5 // 6)], picture.size)

    return Result((Masks(each(subject, run.images())),))


def mask_of(areas: Iterable[Area], size: Size) -> Picture:
    """A mask that is white where things are, which are round as far as their boxes let them."""
    boxes = [area.within(size) for area in areas]
    if not boxes:
        return Solid(0, *size)

    def draw() -> Image:
        from PIL import Image, ImageDraw

        mask = Image.new("L", size)
        for left, top, right, bottom in boxes:
            ImageDraw.Draw(mask).ellipse((left, top, right - 1, bottom - 1), fill=255)
        return mask

    return Edited(size, draw)


def draw_boxes(run: Invocation) -> Result:
    """DrawBBoxes: boxes with their labels, on pictures or on a black canvas that has room for them."""
    given, boxes = run.inputs.get("image"), run.inputs.get("bboxes")
    if isinstance(given, Images) and given:
        images = given
    else:
        lists = areas_of(boxes, pictures_of(boxes))
        room = Area.over([Area(0, 0, CANVAS, CANVAS), *(area for areas in lists for area in areas)])
        images = Images([Solid(0, *room.corners[2:])] * len(lists))

    def drawn(picture: Picture, boxes: Sequence[Mapping[str, Any]]) -> Picture:
        return Edited(picture.size, lambda: _with_boxes(rgb(picture).copy(), boxes))

    return Result((Images(map(drawn, images, framed(boxes, len(images)))),))


def _with_boxes(image: Image, boxes: Sequence[Mapping[str, Any]]) -> Image:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    for box, color in zip(boxes, cycle(COLORS)):
        left, top, right, bottom = Area.of(box).corners
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=2)
        said = " ".join(str(box[key]) for key in ("label", "score") if key in box)
        draw.text((left + 3, top + 2), said, fill=color)
    return image


# --- SAM3


def segment(run: Invocation) -> Result:
    """SAM3_Detect: of each picture one mask for all that was found, or one for each thing."""
    separately = bool(run.inputs.get("individual_masks"))
    frames, masks = [], Masks()
    images = run.images()
    for number, (picture, prompts) in enumerate(zip(images, framed(run.inputs.get("bboxes"), len(images)))):
        digest, least = nth(run.signature, number), run.value("threshold", 0.5)
        things = _prompted(run, picture.size, prompts) or scored(digest, picture.size, least)
        areas = [Area.of(thing) for thing in things]
        groups = [[area] for area in areas] if separately else [areas]
        masks += [mask_of(group, picture.size) for group in groups]
        frames.append(things)
    return Result((masks or Masks([Solid(0, *images[0].size)]), frames))


def _prompted(run: Invocation, size: Size, prompts: Iterable[Mapping[str, Any]]) -> list[Found]:
    """What boxes and points point at, where no text says what to look for."""
    if run.inputs.get("conditioning") is not None:
        return []
    areas = [Area.of(prompt) for prompt in prompts]
    width, height = (side // 4 for side in size)
    points = [
        Area(point.x - width // 2, point.y - height // 2, width, height)
        for points in areas_of(run.inputs.get("positive_coords"), 1)
        for point in points
    ]
    # All points are on the same thing.
    areas += [Area.over(points)] if points else []
    return [{**area._asdict(), "score": 1.0} for area in areas]


def track(run: Invocation) -> Result:
    """SAM3_VideoTrack: the things that the masks of the first picture are of, and those that are found."""
    if not {"initial_mask", "conditioning"} & set(run.inputs):
        raise ValueError("Either initial_mask or conditioning must be provided")
    images, given = run.images("images"), run.inputs.get("initial_mask")
    size = images[0].size
    things = [scaled(mask, size, "BILINEAR") for mask in given] if isinstance(given, Masks) else []
    if not things or "conditioning" in run.inputs:
        searched = scored(run.signature, size, run.value("detection_threshold", 0.5))
        things += [mask_of([Area.of(thing)], size) for thing in searched]
    most = run.value("max_objects", 4) or MOST_TRACKED
    return Result((Opaque("SAM3_TRACK_DATA", run.signature, (images, Masks(things[:most]))),))


def _tracked(run: Invocation) -> tuple[Images, Masks]:
    """The film that was searched, and where each thing is in it."""
    data = [run.inputs.get("track_data")]
    return first(Images, data) or run.images("images"), first(Masks, data) or Masks()


def tracked_mask(run: Invocation) -> Result:
    """SAM3_TrackToMask: one mask for each picture of the film, of the things that are chosen."""
    images, things = _tracked(run)
    words = run.value("object_indices", "").split(",")
    chosen = {int(word) for word in words if word.strip().isdecimal()}
    kept = [thing for number, thing in enumerate(things) if not chosen or number in chosen]
    return Result((Masks([_together(kept, images[0].size)] * len(images)),))


def _together(masks: Sequence[Picture], size: Size) -> Picture:
    if not masks:
        return Solid(0, *size)

    def make() -> Image:
        from PIL.ImageChops import lighter

        return reduce(lighter, map(levels, masks))

    return Edited(size, make)


def preview_tracks(run: Invocation) -> Result:
    """SAM3_TrackPreview: a film of the things in their colours, numbered; it goes to the temp folder."""
    from comfystub.media import video

    images, things = _tracked(run)
    opacity = run.value("opacity", 0.5)
    behind = run.inputs.get("images")
    if not isinstance(behind, Images) or not behind:
        behind = Images([Solid(0, *images[0].size)])

    def marked(picture: Picture) -> Image:
        from PIL import ImageDraw

        image = rgb(picture).copy()
        for number, (thing, color) in enumerate(zip(things, cycle(COLORS))):
            mask = levels(scaled(thing, image.size))
            image.paste(color, mask=mask.point(lambda level: round(level * opacity)))
            left, top, _, _ = mask.getbbox() or (0, 0, 0, 0)
            ImageDraw.Draw(image).text((left + 4, top + 4), str(number), fill="white")
        return image

    frames = edit(marked, [behind[number % len(behind)] for number in range(len(images))])
    film = video.mp4(frames, run.value("fps", 24.0), texts=texts(run))
    file = write(run, ".mp4", film, kind="temp", prefix=temp_prefix(run), size=frames[0].size)
    return Result(ui={"images": [file], "animated": [True]})


BEHAVIOURS: dict[str, Behaviour] = {
    "RTDETR_detect": detect,
    "RemoveBackground": remove_background,
    "DrawBBoxes": draw_boxes,
    "SAM3_Detect": segment,
    "SAM3_VideoTrack": track,
    "SAM3_TrackToMask": tracked_mask,
    "SAM3_TrackPreview": preview_tracks,
}
