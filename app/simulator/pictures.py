"""What a simulated film shows: the photo gently moving, a meter of the voice, captions and a small mark.

Everything is drawn in the three planes of yuv420p, as the encoder wants them: half the bytes of RGB, and no
conversion of each frame.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageColor, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from app.simulator.captions import Caption, draw
from app.simulator.filming import FilmError, FilmRequest
from app.simulator.speech import ONLY

Box = tuple[int, int, int, int]  # left, top, right, bottom
Planes = tuple[Image.Image, Image.Image, Image.Image]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MOST_PIXELS = 50_000_000  # HeyGen's own limit for a photo
NEUTRAL = ("#dfe3e8", "#aab2bc")  # behind a cut-out portrait: top, bottom
STRENGTH = {"low": 1.0, "medium": 1.3, "high": 1.6}
WHITE, BLACK, ACCENT = (235, 128, 128), (16, 128, 128), (190, 150, 96)  # y, u, v
LEAST_ZOOM = 0.035  # what the sway needs at the photo's edges
BARS = 9
FINER = 4  # bars are drawn this much larger, then reduced: smooth edges


class Scene:
    """Draws the frames of one film; one after the other, `draw` uses one canvas."""

    def __init__(self, request: FilmRequest, levels: Sequence[float], captions: Sequence[Caption]) -> None:
        """Raises FilmError where a picture cannot be used."""
        self._fps = request.fps
        self._levels = levels
        self._captions = captions
        self._caption = lru_cache(maxsize=2)(self._draw_caption)
        self._size = request.width // 2 * 2, request.height // 2 * 2
        self._unit = min(self._size) / 100
        self._strength = STRENGTH.get(request.expressiveness or "low", 1.0)
        self._motion = self._strength * (1.8 if (request.motion_prompt or "").strip() else 1.0)
        self._camera, self._transparent = request.camera, request.transparent
        photo = _shown(request)
        self._box = self._place(photo, inset=request.background is not None and not request.remove_background)
        self._backdrop = to_planes(self._behind(request, photo))
        # A little larger than it is shown, for the motion zooms in; never much, for that costs time and shows nothing.
        width, height = _size(self._box)
        self._photo = to_planes(
            photo.resize((even(width * 1.12), even(height * 1.12)), Image.Resampling.LANCZOS)
        )
        self._mask = self._outline(cut_out=request.remove_background or request.transparent)
        self._half_mask = self._mask.reduce(2)

    def draw(self, index: int) -> VideoFrame:
        """Frame number `index`."""
        canvas = self._backdrop[0].copy(), self._backdrop[1].copy(), self._backdrop[2].copy()
        self._paste_photo(canvas, index)
        if self._levels:
            self._paste_meter(canvas, index)
        second = index / self._fps
        for caption in self._captions:
            if caption.start <= second < caption.end:
                self._paste_caption(canvas, caption.text)
                break
        self._paste_mark(canvas)
        return with_alpha(canvas, self._alpha) if self._transparent else to_frame(canvas)

    @cached_property
    def _alpha(self) -> Image.Image:
        """The person shows, and nothing around."""
        alpha = Image.new("L", self._size)
        alpha.paste(self._mask, self._box[:2])
        return alpha

    @property
    def meter(self) -> Box:
        """Where the meter of the voice stands, in pixels."""
        width, height = even(BARS * 2.4 * self._unit), even(8 * self._unit)
        left = even((self._size[0] - width) / 2)
        top = even(self._caption_middle - 5.4 * self._unit - height)
        return left, top, left + width, top + height

    @property
    def _caption_middle(self) -> float:
        width, height = self._size
        # Upright films are watched under a phone's own controls: higher up there.
        return height - (8.5 * self._unit if width >= height else 0.14 * height)

    def _place(self, photo: Image.Image, *, inset: bool) -> Box:
        """The photo's box, contained in the film and even on every side."""
        share = 0.84 if inset else 1.0
        scale = min(self._size[0] / photo.width, self._size[1] / photo.height) * share
        width = min(max(2, even(photo.width * scale)), self._size[0])
        height = min(max(2, even(photo.height * scale)), self._size[1])
        left, top = even((self._size[0] - width) / 2), even((self._size[1] - height) / 2)
        return left, top, left + width, top + height

    def _behind(self, request: FilmRequest, photo: Image.Image) -> Image.Image:
        background = request.background
        if background is None and request.remove_background:
            top, bottom = (Image.new("RGB", self._size, colour) for colour in NEUTRAL)
            return Image.composite(bottom, top, Image.linear_gradient("L").resize(self._size))
        if background is None:
            # Blurred small and enlarged: the same look as a large blur, in a fraction of its time.
            small = ImageOps.fit(photo, (max(2, self._size[0] // 16), max(2, self._size[1] // 16)))
            blurred = small.filter(ImageFilter.GaussianBlur(3)).resize(self._size, Image.Resampling.BICUBIC)
            return ImageEnhance.Brightness(blurred).enhance(0.45)
        if isinstance(background, str) and background.startswith("#"):
            try:
                return Image.new("RGB", self._size, ImageColor.getrgb(background)[:3])
            except ValueError as error:
                raise FilmError("background: not a colour like #rrggbb") from error
        return ImageOps.fit(read_picture(Path(background)), self._size)

    def _outline(self, *, cut_out: bool) -> Image.Image:
        """How much of the photo shows at each of its pixels: an oval, or all of it with soft inner edges."""
        width, height = _size(self._box)
        if cut_out:
            # Drawn small and enlarged: softness for nothing.
            small = Image.new("L", (200, 200))
            ImageDraw.Draw(small).ellipse((22, 12, 178, 188), fill=255)
            return small.filter(ImageFilter.GaussianBlur(7)).resize((width, height), Image.Resampling.BICUBIC)
        soft = max(1, round(1.6 * self._unit))
        left, top, right, bottom = self._box
        # Where the photo ends at the film's own edge nothing is softened: the rectangle reaches beyond.
        edges = left > 0, top > 0, right < self._size[0], bottom < self._size[1]
        inner = [2 * soft if edge else -9 * soft for edge in edges]
        mask = Image.new("L", (width + 8 * soft, height + 8 * soft))
        shape = (
            4 * soft + inner[0],
            4 * soft + inner[1],
            4 * soft + width - inner[2],
            4 * soft + height - inner[3],
        )
        ImageDraw.Draw(mask).rounded_rectangle(shape, radius=3 * soft if all(edges) else 0, fill=255)
        blurred = mask.filter(ImageFilter.GaussianBlur(soft * 0.7))
        return blurred.crop((4 * soft, 4 * soft, 4 * soft + width, 4 * soft + height))

    def _paste_photo(self, canvas: Planes, index: int) -> None:
        view = self._view(index)
        size = _size(self._box)
        masks = self._mask, self._half_mask, self._half_mask
        for plane, photo, mask, half in zip(canvas, self._photo, masks, (1, 2, 2), strict=True):
            box = (
                view[0] * photo.width,
                view[1] * photo.height,
                view[2] * photo.width,
                view[3] * photo.height,
            )
            shown = photo.resize((size[0] // half, size[1] // half), Image.Resampling.BILINEAR, box=box)
            plane.paste(shown, (self._box[0] // half, self._box[1] // half), mask)

    def _view(self, index: int) -> tuple[float, float, float, float]:
        """The part of the photo that shows, as shares of its width and height: a slow zoom, a sway, a nod."""
        second = index / self._fps
        turn = 2 * math.pi * second
        zoom = 1 + self._motion * (LEAST_ZOOM + 0.02 * (1 - math.cos(turn / 12)) / 2)
        nod = (
            float(np.mean(self._levels[max(0, index - 7) : index + 1])) if index < len(self._levels) else 0.0
        )
        x = 0.5 + self._motion * 0.011 * math.sin(turn / 5.3)
        # A little above the middle, where heads are.
        y = 0.5 + self._motion * (0.006 * (math.sin(turn / 3.7) - 1) + 0.005 * nod)
        if self._camera:  # it draws near and goes past
            zoom *= 1.12 + 0.1 * (1 - math.cos(turn / 6)) / 2
            x += 0.05 * math.sin(turn / 7)
        half = 0.5 / zoom
        return x - half, y - half, x + half, y + half

    def _paste_meter(self, canvas: Planes, index: int) -> None:
        """Bars that open with the voice, the middle one at once, the outer ones a moment later and less."""
        left, top, right, bottom = self.meter
        width, height = right - left, bottom - top
        stamp(canvas, self._meter_ground, (left, top), BLACK)
        bars = Image.new("L", (width * FINER, height * FINER))
        pen = ImageDraw.Draw(bars)
        step, thick = width * FINER / (BARS + 1), width * FINER / (BARS + 1) * 0.5
        for bar in range(BARS):
            away = abs(bar - BARS // 2)
            level = self._levels[index - away] if 0 <= index - away < len(self._levels) else 0.0
            # Loudness is felt about as its root.
            opened = min(1.0, level**0.6 * self._strength**0.5) * (1 - 0.13 * away)
            half = max(thick, opened * height * FINER * 0.84) / 2
            x, y = (bar + 1) * step, height * FINER / 2
            pen.rounded_rectangle(
                (x - thick / 2, y - half, x + thick / 2, y + half), radius=thick / 2, fill=255
            )
        stamp(canvas, bars.reduce(FINER), (left, top), ACCENT)

    @cached_property
    def _meter_ground(self) -> Image.Image:
        left, top, right, bottom = self.meter
        return _pill(right - left, bottom - top, strength=0.5)

    def _paste_caption(self, canvas: Planes, text: str) -> None:
        drawn = self._caption(text)
        if drawn is not None:
            ground, letters, at, letters_at = drawn
            stamp(canvas, ground, at, BLACK)
            stamp(canvas, letters, letters_at, WHITE)

    def _draw_caption(
        self, text: str
    ) -> tuple[Image.Image, Image.Image, tuple[int, int], tuple[int, int]] | None:
        size = max(9, round(4.6 * self._unit))
        letters = draw(text, size, widest=round(self._size[0] * 0.88))
        if letters is None:
            return None
        width, height = even(letters.width + 4 * self._unit), even(7.4 * self._unit)
        left, top = even((self._size[0] - width) / 2), even(self._caption_middle - height / 2)
        at = even((self._size[0] - letters.width) / 2), even(top + (height - letters.height) / 2)
        return _pill(width, max(height, letters.height), strength=0.55), letters, (left, top), at

    def _paste_mark(self, canvas: Planes) -> None:
        ground, letters = self._mark
        left, top = even(self._size[0] - ground.width - 2 * self._unit), even(2 * self._unit)
        stamp(canvas, ground, (left, top), BLACK)
        inner = even((ground.width - letters.width) / 2), even((ground.height - letters.height) / 2)
        stamp(canvas, letters, (left + inner[0], top + inner[1]), WHITE)

    @cached_property
    def _mark(self) -> tuple[Image.Image, Image.Image]:
        letters = draw("simulated", max(9, round(2.2 * self._unit)), widest=self._size[0]) or Image.new(
            "L", (2, 2)
        )
        width, height = even(letters.width + 2.4 * self._unit), even(letters.height + 1.2 * self._unit)
        return _pill(width, height, strength=0.3), letters.point([round(value * 0.7) for value in range(256)])


def _shown(request: FilmRequest) -> Image.Image:
    if request.clip is None:
        return read_picture(request.photo) if request.photo else placeholder()
    try:
        with av.open(str(request.clip), options=ONLY) as container:
            return Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    except (OSError, ValueError, IndexError, StopIteration, av.FFmpegError) as error:
        raise FilmError(f"{request.clip.name}: not a video that can be read") from error


def read_picture(path: Path) -> Image.Image:
    """A picture in RGB, upright. Raises FilmError."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise FilmError(f"{path.name}: more than {MOST_PIXELS} pixels")
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilmError(f"{path.name}: not a picture that can be read") from error
    ground = Image.new("RGBA", upright.size, NEUTRAL[0])
    return Image.alpha_composite(ground, upright).convert("RGB")


def placeholder() -> Image.Image:
    """A drawn head and shoulders, for a look that has no photo."""
    size = (768, 768)
    picture = Image.composite(
        Image.new("RGB", size, "#3d4d63"),
        Image.new("RGB", size, "#8fa3bd"),
        Image.linear_gradient("L").resize(size),
    )
    pen = ImageDraw.Draw(picture)
    pen.ellipse((259, 150, 509, 450), fill="#dbe4ef")
    pen.rounded_rectangle((124, 500, 644, 1000), radius=230, fill="#dbe4ef")
    return picture.filter(ImageFilter.GaussianBlur(1.2))


def to_planes(picture: Image.Image) -> Planes:
    """An RGB picture of even size in the planes of yuv420p, BT.709 as players take HD for."""
    frame = VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    array = frame.to_ndarray()
    width, height = picture.size
    chroma = array[height:].reshape(2, height // 2, width // 2)
    return Image.fromarray(array[:height]), Image.fromarray(chroma[0]), Image.fromarray(chroma[1])


def to_frame(canvas: Planes) -> VideoFrame:
    """The canvas as the encoder takes it."""
    width = canvas[0].width
    array = np.concatenate([np.asarray(plane).reshape(-1) for plane in canvas])
    return VideoFrame.from_ndarray(array.reshape(-1, width), format="yuv420p")


def with_alpha(canvas: Planes, alpha: Image.Image) -> VideoFrame:
    """The same, with how much of each pixel shows."""
    frame = VideoFrame(*canvas[0].size, "yuva420p")
    for plane, content in zip(frame.planes, (*canvas, alpha), strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = np.asarray(content)
        plane.update(rows.tobytes())
    return frame


def stamp(canvas: Planes, mask: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Put one colour through a mask, at an even place."""
    half = mask.reduce(2)
    canvas[0].paste(colour[0], (at[0], at[1], at[0] + mask.width, at[1] + mask.height), mask)
    for plane, value in zip(canvas[1:], colour[1:], strict=True):
        x, y = at[0] // 2, at[1] // 2
        plane.paste(value, (x, y, x + half.width, y + half.height), half)


def even(length: float) -> int:
    """The nearest even number of pixels: chroma has half of them."""
    return round(length / 2) * 2


def _pill(width: int, height: int, strength: float) -> Image.Image:
    large = Image.new("L", (width * 2, height * 2))
    box = (0, 0, width * 2 - 1, height * 2 - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius=min(height, width) * 0.7, fill=round(255 * strength))
    return large.reduce(2)


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]
