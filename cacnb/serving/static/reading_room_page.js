// Shows the app once its scripts are ready, and says so when they are not; it knows no widget.

const SLOW_MS = 20000;

const slow = setTimeout(() => {
  const loading = document.getElementById("loading");
  if (loading) loading.textContent = "Still opening … If this stays, reload the page.";
}, SLOW_MS);

// Voila calls these: `voila_finish` when the theme is there, `voila_heartbeat` while a cell runs.
window.cellLoaded = true;
window.voila_heartbeat = () => {};
window.voila_finish = () => {
  clearTimeout(slow);
  document.getElementById("loading")?.remove();
  document.getElementById("rendered_cells").hidden = false;
};
