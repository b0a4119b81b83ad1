// A region of one slice as run-length text, there and back, as cacnb/labels/runs.py writes it.

/** Mark a text's pixels with 1 in `flat`, a whole slice row by row. */
export function decodeRuns(text, flat) {
  flat.fill(0);
  if (!text) return flat;
  for (const run of text.split(" ")) {
    const [start, length] = run.split(":").map(Number);
    flat.fill(1, start, start + length);
  }
  return flat;
}

export function encodeRuns(flat) {
  const runs = [];
  for (let i = 0; i < flat.length; i++) {
    if (!flat[i]) continue;
    const start = i;
    while (i < flat.length && flat[i]) i++;
    runs.push(`${start}:${i - start}`);
  }
  return runs.join(" ");
}
