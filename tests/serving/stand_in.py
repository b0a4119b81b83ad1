"""Serves a notebook with one button in place of an app: `stand_in.py FOLDER '{"port": …}'`.

It needs no study beyond an empty cohort and no label store. A press tells who the kernel thinks
sits at the page, the kernel's process, and what its environment says.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from cacnb.serving import room as serving_room
from cacnb.serving.server import serve

CELLS = [
    """
import os
import anywidget
from cacnb.serving.reader import reader_name

class Button(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
      const button = document.createElement("button");
      button.id = "press";
      button.textContent = "press";
      button.onclick = () => model.send({ type: "press" });
      model.on("msg:custom", (said) => { button.textContent = JSON.stringify(said); });
      if (window.PULSE_MS) setInterval(() => model.send({ type: "ping" }), window.PULSE_MS);
      el.append(button);
    } };'''
    _css = "#press { color: rgb(1, 2, 3); }"

    def __init__(self):
        super().__init__()
        self.on_msg(self.hear)

    def hear(self, widget, said, buffers):
        if said["type"] == "press":
            self.send({"reader": reader_name(), "pid": os.getpid(), "environment": {
                name: value for name, value in os.environ.items() if not name.startswith("LS_")}})
""",
    "Button()",
]


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main(folder: Path, options: dict) -> None:
    study = folder / "study"
    (study / "images").mkdir(parents=True, exist_ok=True)
    (study / "cohort.csv").write_text("scan,patient\nsecret-scan,secret-patient\n")
    (study / "images" / "scan.png").write_bytes(b"\x89PNG secret")
    apps = folder / "apps"
    apps.mkdir(exist_ok=True)
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(source) for source in CELLS]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": spec, "title": "Stand-in"})
    nbformat.write(notebook, apps / "label_slices.ipynb")
    (apps / "beside.png").write_bytes(b"\x89PNG secret")
    (apps / "beside.svg").write_text("<svg>secret</svg>")
    serving_room.NOTEBOOKS_FOLDER = apps
    room = serving_room.Room("label", study, **options)
    serve(room, ready)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
