"""A bounded sample of the damaged files; `python tests/ct/fuzzing.py` runs 2,000 of them."""

import json
import subprocess
import sys
from pathlib import Path

CASES = 120


def test_damaged_files_are_read_as_before_or_as_a_second_decoder_reads_them_or_refused() -> None:
    script = Path(__file__).with_name("fuzzing.py")
    call = [sys.executable, str(script), "--cases", str(CASES), "--seed", "7", "--json"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=600, check=False)
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["cases"] == CASES
    good = sum(found.get(name, 0) for name in ("as_before", "as_second", "left_out", "refused"))
    assert good == CASES
    assert found["refused"] < CASES  # the sample also damages what leaves a scan to read
