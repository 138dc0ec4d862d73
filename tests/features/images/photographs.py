"""Photographs that installed packages bring along."""

import pathlib

import matplotlib
import sklearn.datasets

_SKLEARN = pathlib.Path(sklearn.datasets.__file__).parent / 'images'
CHINA = _SKLEARN / 'china.jpg'
FLOWER = _SKLEARN / 'flower.jpg'
HOPPER = (
  pathlib.Path(matplotlib.get_data_path()) / 'sample_data' / 'grace_hopper.jpg'
)
