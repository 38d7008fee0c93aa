"""Which class does what: the table of the behaviours of ComfyUI's own nodes."""

from __future__ import annotations

from collections.abc import Mapping

from comfystub.nodes import imaging, passing, sampling, saving
from comfystub.nodes.invocation import Behaviour
from comfystub.nodes.schema import NodeClass

BEHAVIOURS: Mapping[str, Behaviour] = {
    # latents and sampling
    "EmptyLatentImage": sampling.empty_latent,
    "LatentUpscale": sampling.upscale_latent,
    "LatentUpscaleBy": sampling.upscale_latent_by,
    "RepeatLatentBatch": sampling.repeat_latent,
    "KSampler": sampling.k_sampler,
    "KSamplerAdvanced": sampling.k_sampler_advanced,
    "SamplerCustom": sampling.custom_sampler,
    "SamplerCustomAdvanced": sampling.custom_sampler,
    "VAEEncode": sampling.encode,
    "VAEDecode": sampling.decode,
    "VAEDecodeTiled": sampling.decode,
    # pictures
    "EmptyImage": imaging.empty_image,
    "LoadImage": imaging.load_image,
    "LoadImageOutput": imaging.load_image,
    "ImageScale": imaging.scale,
    "ImageScaleBy": imaging.scale_by,
    "ImageScaleToTotalPixels": imaging.scale_to_pixels,
    "ImageScaleToMaxDimension": imaging.scale_to_longest,
    "ResizeImageMaskNode": imaging.resize,
    "ImageInvert": imaging.invert,
    "ImageBatch": imaging.batch,
    "ImageCrop": imaging.crop,
    "ImagePadForOutpaint": imaging.pad,
    "GetImageSize": imaging.image_size,
    # anything
    "ComfySwitchNode": passing.switch,
    # output nodes
    "SaveImage": saving.save_image,
    "PreviewImage": saving.preview_image,
    "SaveAnimatedWEBP": saving.save_animated_webp,
    "SaveAnimatedPNG": saving.save_animated_png,
    "SaveImageWebsocket": saving.send_images,
    "PreviewAny": saving.preview_any,
}

#: Classes whose result is never taken from the cache.
NEVER_CACHED = frozenset({"SaveImageWebsocket"})


#: Classes that work in steps, which they report.
SAMPLING_CLASSES = frozenset(
    name
    for name, behaviour in BEHAVIOURS.items()
    if behaviour in (sampling.k_sampler, sampling.k_sampler_advanced, sampling.custom_sampler)
)


def behaviour_of(node_class: NodeClass) -> Behaviour:
    """What a node of this class does in the stub."""
    return BEHAVIOURS.get(node_class.name, passing.pass_on)
