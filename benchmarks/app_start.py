"""From the address to a page that answers, in Chromium: a cold kernel and one kept ready.

    python benchmarks/app_start.py [--study DIR] [--app label] [--times 5] [--json]

A page answers when its widget is on the screen. Memory is of the kernel behind the open page:
PSS shares what kernels have in common among them, USS is what ends with the kernel.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
TOKEN = "0123456789-of-this-benchmark"


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kernels_of(server):
    """Processes of kernels below the server, whatever started them."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")")[1].split()[1])
        except OSError:
            continue
    return [pid for pid, parent in parents.items() if parent == server]


def memory_mb(pid):
    """PSS, USS and RSS of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {
        "pss": kb["Pss"] / 1024,
        "uss": (kb["Private_Clean"] + kb["Private_Dirty"]) / 1024,
        "rss": kb["Rss"] / 1024,
    }


def measured(study, app, pool, times, browser):
    """Seconds of each opening, and the memory of the kernel behind the last page."""
    port = free_port()
    call = [
        sys.executable, "-m", "cacnb.cli", "serve", app, "--study", str(study),
        "--port", str(port), "--pool", str(pool), "--token", TOKEN, "--reader", "benchmark",
    ]  # fmt: skip
    server = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        said = server.stderr.readline()
        if "open http" not in said:
            sys.exit(said or "the server did not start")
        seconds, memory = [], {}
        for _ in range(times):
            time.sleep(12 if pool else 1)
            context = browser.new_context()
            page = context.new_page()
            page.set_default_timeout(120_000)
            begin = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}", wait_until="commit")
            page.wait_for_selector(".cell canvas, .cell button, .cell input")
            seconds.append(time.perf_counter() - begin)
            time.sleep(2)
            memory = max((memory_mb(pid) for pid in kernels_of(server.pid)), key=lambda m: m["uss"])
            page.goto("about:blank")
            context.close()
        return seconds, memory
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main():
    """Measure both, in one call, and print."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--study", type=Path)
    parse.add_argument("--app", default="label")
    parse.add_argument("--times", type=int, default=5)
    parse.add_argument("--json", action="store_true")
    options = parse.parse_args()
    study = options.study or Path("out/app_start_study")
    if not (study / "cohort.csv").exists():
        simulate = ["simulate", "--pairs", "1", "--seed", "900", "--out", str(study)]
        subprocess.run([sys.executable, "-m", "cacnb.cli", *simulate], check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cold, memory = measured(study, options.app, 0, options.times, browser)
        ready, _ = measured(study, options.app, 1, options.times, browser)
        browser.close()
    found = {
        "app": options.app, "times": options.times,
        "cold_s": statistics.median(cold), "ready_s": statistics.median(ready),
        "cold_over_ready": statistics.median(cold) / statistics.median(ready),
        "kernel_mb": memory,
    }  # fmt: skip
    if options.json:
        print(json.dumps(found))
        return
    print(f"app start to interactive, {options.app}, median of {options.times}")
    print(f"  cold kernel   {found['cold_s']:.2f} s  ({min(cold):.2f} … {max(cold):.2f})")
    print(f"  kept ready    {found['ready_s']:.2f} s  ({min(ready):.2f} … {max(ready):.2f})")
    print(f"  ratio         {found['cold_over_ready']:.2f}")
    print("  a reader's kernel: " + ", ".join(f"{n} {mb:.0f} MB" for n, mb in memory.items()))


if __name__ == "__main__":
    main()
