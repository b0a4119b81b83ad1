import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest_learning import slices_of_known_number, write_heart
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
