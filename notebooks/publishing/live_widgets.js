// Widgets whose whole state stands in this page, each with a model that has no kernel behind it.
const written = document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]');
const { state: models } = JSON.parse(written.textContent);

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

function traitsOf({ state, buffers = [] }) {
  const traits = structuredClone(state);
  for (const { path, data } of buffers) {
    const holder = path.slice(0, -1).reduce((value, step) => value[step], traits);
    holder[path.at(-1)] = new DataView(bytes(data).buffer);
  }
  return traits;
}

function modelOf(traits) {
  const listeners = new Map();
  const hearing = (event) => listeners.get(event) ?? [];
  return {
    get: (name) => traits[name],
    set(name, value) {
      const changed = traits[name] !== value;
      traits[name] = value;
      if (changed) [...hearing(`change:${name}`), ...hearing("change")].forEach((hear) => hear());
    },
    on(events, hear) {
      for (const event of events.split(" ")) listeners.set(event, [...hearing(event), hear]);
    },
    off(event) { listeners.delete(event); },
    save_changes() {},
    send() {},
  };
}

async function show(place) {
  const traits = traitsOf(models[place.dataset.model]);
  const url = URL.createObjectURL(new Blob([traits._esm], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  const made = typeof widget === "function" ? await widget() : widget;
  const el = document.createElement("div");
  const style = Object.assign(document.createElement("style"), { textContent: traits._css ?? "" });
  const model = modelOf(traits);
  await made.initialize?.({ model });
  document.head.append(style);
  // what measures itself has to stand in the page first; the picture gives way to it
  place.replaceChildren(el);
  await made.render({ model, el });
}

for (const place of document.querySelectorAll("[data-model]")) {
  const picture = [...place.childNodes];
  show(place).catch((error) => {
    place.replaceChildren(...picture);
    console.error(error);
  });
}
