"""Pictures of every kind become the pixels they show, or a reason."""

import os
import struct
import threading
import zlib

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import JpegImagePlugin
import pytest

from morning_jax.features.images import decoding
from tests.features.images import photographs

VIEW = decoding.View(size=32, resize=32, squash=True)
_REAL = Image.open(photographs.CHINA).convert('RGB')


def corners(size=(96, 64)):
  """Red, green, blue and yellow, from the top left corner clockwise."""
  image = Image.new('RGB', size)
  draw = ImageDraw.Draw(image)
  half, middle = size[0] // 2, size[1] // 2
  for x, y, colour in (
    (0, 0, 'red'),
    (half, 0, 'lime'),
    (half, middle, 'blue'),
    (0, middle, 'yellow'),
  ):
    draw.rectangle((x, y, x + half, y + middle), fill=colour)
  return image


def shown(path, view=VIEW):
  picture = decoding.decode(path, [view])
  assert isinstance(picture, decoding.Decoded), picture
  assert picture.pixels.shape == (1, view.size, view.size, 3)
  assert picture.pixels.dtype == np.uint8
  return picture.pixels[0]


def reason(path):
  picture = decoding.decode(path, [VIEW])
  assert isinstance(picture, decoding.Failed), picture
  assert '\n' not in picture.reason and len(picture.reason) < 200
  return picture.reason


def at_corners(pixels):
  size = len(pixels)
  near, far = size // 8, size - 1 - size // 8
  points = ((near, near), (near, far), (far, far), (far, near))
  return [tuple((pixels[p] > 127).astype(int).tolist()) for p in points]


RED, GREEN, BLUE, YELLOW = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)
UPRIGHT = [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize(
  ('name', 'options'),
  [
    ('a.jpg', {}),
    ('a.png', {}),
    ('a.webp', {'lossless': True}),
    ('a.gif', {}),
    ('a.bmp', {}),
    ('a.tiff', {}),
    ('no_ending', {'format': 'PNG'}),
    ('wrong.jpg', {'format': 'PNG'}),
  ],
)
def test_every_format_shows_the_same(tmp_path, name, options):
  corners().save(tmp_path / name, **options)
  assert at_corners(shown(tmp_path / name)) == UPRIGHT


@pytest.mark.parametrize('mode', ['CMYK', 'P', 'YCbCr', 'RGBA'])
def test_every_mode_shows_the_same(tmp_path, mode):
  path = tmp_path / ('a.jpg' if mode in ('CMYK', 'YCbCr') else 'a.png')
  corners().convert(mode).save(path)
  assert at_corners(shown(path)) == UPRIGHT


@pytest.mark.parametrize('mode', ['L', '1', 'LA'])
def test_grey_is_grey(tmp_path, mode):
  Image.new('L', (20, 20), 255).convert(mode).save(tmp_path / 'a.png')
  assert (shown(tmp_path / 'a.png') == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
  grey = np.linspace(0, 65_535, 64).astype(np.uint16)
  image = Image.fromarray(np.tile(grey, (64, 1)))
  for name in ('a.png', 'a.tiff'):
    image.save(tmp_path / name)
    pixels = shown(tmp_path / name)
    assert 126 < pixels.mean() < 129
    assert pixels[0, 0, 0] < 5 and pixels[0, -1, 0] > 250


def test_what_is_transparent_lies_on_white(tmp_path):
  image = Image.new('RGBA', (40, 40), (255, 0, 0, 255))
  image.paste((0, 0, 0, 0), (20, 0, 40, 40))
  image.save(tmp_path / 'a.png')
  pixels = shown(tmp_path / 'a.png')
  assert pixels[16, 4].tolist() == [255, 0, 0]
  assert pixels[16, 28].tolist() == [255, 255, 255]
  palette = Image.new('P', (40, 40), 1)
  palette.putpalette([255, 0, 0, 0, 0, 0])
  palette.save(tmp_path / 'b.png', transparency=1)
  assert (shown(tmp_path / 'b.png') == 255).all()


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('large', [False, True])
def test_pictures_are_turned_as_the_camera_was_held(
  tmp_path, orientation, large
):
  # What a camera stores, so that turning it as EXIF says shows the corners.
  undo = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
  }[orientation]
  image = corners((960, 640)) if large else corners()  # read at a scale, or not
  stored = image if undo is None else image.transpose(undo)
  exif = Image.Exif()
  exif[0x0112] = orientation
  stored.save(tmp_path / 'a.jpg', exif=exif, quality=95)
  assert at_corners(shown(tmp_path / 'a.jpg')) == UPRIGHT


def test_broken_tags_do_not_matter(tmp_path):
  corners().save(tmp_path / 'a.jpg', exif=b'Exif\0\0II*\0\xff\xff\xff\xff')
  assert at_corners(shown(tmp_path / 'a.jpg')) == UPRIGHT
  exif = Image.Exif()
  exif[0x0112] = 77
  corners().save(tmp_path / 'a.jpg', exif=exif)
  assert at_corners(shown(tmp_path / 'a.jpg')) == UPRIGHT


def test_the_first_frame_counts(tmp_path):
  corners().save(
    tmp_path / 'a.gif',
    save_all=True,
    append_images=[Image.new('RGB', (96, 64))],
  )
  assert at_corners(shown(tmp_path / 'a.gif')) == UPRIGHT


def test_views_are_those_of_two_steps(tmp_path):
  path = tmp_path / 'a.png'
  for size in ((640, 427), (427, 640), (256, 256), (90, 300)):
    image = _REAL.resize(size)
    image.save(path)
    short = min(size)
    whole = tuple(256 * side // short for side in size)
    left, top = (round((side - 224) / 2) for side in whole)
    for bicubic in (False, True):
      method = (
        Image.Resampling.BICUBIC if bicubic else (Image.Resampling.BILINEAR)
      )
      view = decoding.View(size=224, resize=256, bicubic=bicubic)
      expected = np.asarray(
        image.resize(whole, method).crop((left, top, left + 224, top + 224))
      )
      off = np.abs(shown(path, view).astype(int) - expected)
      assert off.max() <= 1 and off.mean() < 1e-3
      view = decoding.View(size=224, resize=256, squash=True, bicubic=bicubic)
      expected = np.asarray(
        image.resize((256, 256), method).crop((16, 16, 240, 240))
      )
      assert np.abs(shown(path, view).astype(int) - expected).max() <= 1


def test_a_large_jpeg_is_decoded_at_a_smaller_scale(tmp_path, monkeypatch):
  _REAL.resize((1080, 1350)).save(tmp_path / 'a.jpg', quality=90)
  view = decoding.View(size=224, resize=256)
  fast = shown(tmp_path / 'a.jpg', view)
  monkeypatch.setattr(JpegImagePlugin.JpegImageFile, 'draft', lambda *_: None)
  slow = shown(tmp_path / 'a.jpg', view)
  assert (fast != slow).any()
  assert np.abs(fast.astype(int) - slow).mean() < 2.0


def _claims(width, height):
  """A PNG of a few bytes that claims to be large."""
  header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)

  def chunk(kind, content):
    check = zlib.crc32(kind + content)
    return (
      struct.pack('>I', len(content))
      + kind
      + content
      + struct.pack('>I', check)
    )

  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(bytes(100)))
    + chunk(b'IEND', b'')
  )


def test_what_can_not_be_read_has_a_reason(tmp_path):
  whole = tmp_path / 'whole.jpg'
  _REAL.save(whole)
  content = whole.read_bytes()
  for name, data, words in (
    ('empty.jpg', b'', 'is empty'),
    ('page.jpg', b'<html>404</html>', 'is no picture'),
    ('cut.jpg', content[: len(content) // 2], 'is broken'),
    ('cut.png', _claims(10, 10), 'is broken'),
    ('photo.heic', b'\0\0\0\x18ftypheic' + bytes(50), 'is no picture'),
    ('bomb.png', _claims(50_000, 50_000), 'has more than 89,478,485 pixels'),
    ('large.png', _claims(10_000, 10_000), 'has more than 89,478,485 pixels'),
    ('narrow.png', _claims(10_000, 10), '10000 x 10: too narrow'),
    # Pillow would start Ghostscript.
    ('a.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'no pict'),
    ('a.pcx', b'\x0a\x05\x01\x08' + bytes(200), 'is no picture'),
  ):
    (tmp_path / name).write_bytes(data)
    assert words in reason(tmp_path / name), name
  os.mkfifo(tmp_path / 'pipe.jpg')
  assert reason(tmp_path / 'pipe.jpg') == 'is a pipe, not a regular file'
  assert reason(tmp_path) == 'is a folder, not a regular file'
  assert reason(tmp_path / 'absent.jpg') == 'No such file or directory'
  (tmp_path / 'link.jpg').symlink_to('absent.jpg')
  assert (
    reason(tmp_path / 'link.jpg') == 'is a link to a file that does not exist'
  )
  assert reason('/dev/zero') == 'is a device, not a regular file'
  Image.fromarray(np.ones((9, 9), np.float32)).save(tmp_path / 'float.tiff')
  assert 'no whole numbers' in reason(tmp_path / 'float.tiff')


def test_the_hash_knows_a_picture_again_and_tells_others_apart(tmp_path):
  def hashed(image, **options):
    image.save(tmp_path / 'a.jpg', **options)
    return decoding.decode(tmp_path / 'a.jpg', [VIEW]).hash

  photos = [
    Image.open(path).convert('RGB')
    for path in (photographs.CHINA, photographs.FLOWER, photographs.HOPPER)
  ]
  first = [hashed(photo, quality=95) for photo in photos]
  again = [
    hashed(photo.resize((photo.width // 2, photo.height // 2)), quality=40)
    for photo in photos
  ]
  for i in range(3):
    for j in range(3):
      bits = (first[i] ^ again[j]).bit_count()
      assert bits <= 2 if i == j else bits > 15


def test_the_hash_is_that_of_its_definition():
  thumbnail = np.zeros((8, 9, 3), np.uint8)
  assert decoding.difference_hash(thumbnail) == 0
  thumbnail[0, 1:] = 10  # one step up, the first of 64
  assert decoding.difference_hash(thumbnail) == 1 << 63
  thumbnail[7, 8] = 10  # and the last one
  assert decoding.difference_hash(thumbnail) == (1 << 63) | 1


def test_threads_keep_the_order_and_read_a_few_ahead(tmp_path):
  paths = []
  for i in range(30):
    paths.append(tmp_path / f'{i}.png')
    Image.new('RGB', (8, 8), (i, 0, 0)).save(paths[-1])
  paths[7].write_bytes(b'x')
  taken = []

  def asked():
    for path in paths:
      taken.append(path)
      yield path

  answers = decoding.decode_all(asked(), [VIEW], threads=2)
  first = next(answers)
  assert len(taken) <= 8
  found = [first, *answers]
  assert isinstance(found[7], decoding.Failed)
  assert [
    None if i == 7 else int(p.pixels[0, 0, 0, 0]) for i, p in enumerate(found)
  ] == [None if i == 7 else i for i in range(30)]
  half = decoding.decode_all(paths, [VIEW], threads=2)
  before = threading.active_count()
  next(half)
  half.close()  # what is left is not read, and no thread stays
  assert threading.active_count() <= before
